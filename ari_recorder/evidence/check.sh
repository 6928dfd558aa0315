#!/bin/sh
# Verify sealed recordings without ari-recorder. Needs a POSIX shell, sha256sum and openssl.
#
#   sh check.sh [-c CERTIFICATE]... [-t TARGET] [-p] [-q] FOLDER|FILE...
#
#   -c  trust this certificate (ari-recorder-....crt) and no other; may be given several times
#   -t  the folder is the archive of this target: name it for a whole archive. Without it the best fitting
#       count is taken, and it is WRONG when another target fits too whose archive would have gaps
#   -p  part of an archive only: do not look for gaps (implied when a FILE is given)
#   -q  print findings and the result only
#
# Exit status: 0 everything is as sealed; 1 something is wrong, each finding is a line that begins with
# WRONG and the file; 2 nothing could be checked.
#
# The steps carry the numbers of docs/reference/evidence.md: 1 files, 2 certificate, 3 signature, 4 names,
# 5 hashes, 6 metadata (here: the info text), 8 chain. Step 7, the JSON file and the chain's log need
# `ari-recorder verify`. Nothing is written but a temporary folder; file names are data, never code.

set -u
LC_ALL=C
export LC_ALL
unset CDPATH
umask 077

us=$(printf '\037') # parts the fields of our tables; no name that gets so far can hold it
trust='' target='' part=0 quiet=0 wrong=0 checked=0 intact=0 candidates_of='' keys=''

usage() { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
fail() { printf 'check.sh: %s\n' "$1" >&2; exit 2; }

# Text as it may be printed: no control characters, nothing that turns the direction of writing.
hidden=$(printf 's/\342\200[\213-\217\250-\256]/?/g;s/\342\201[\240-\257]/?/g;s/\302[\200-\237]/?/g')
shown() {
    case $1 in
    *[!\ -~]*) printf '%s' "$1" | tr '[:cntrl:]' '?' | sed "$hidden" ;;
    *) printf '%s' "$1" ;;
    esac
}
say() { [ "$quiet" = 1 ] || printf '%s\n' "$1"; }
# finding FILE SENTENCE
finding() { printf 'WRONG %s: %s\n' "$(shown "$1")" "$(shown "$2")"; wrong=$((wrong + 1)) good=0; }

plain() { [ -f "$1" ] && [ ! -h "$1" ]; }
# usable FILE: a plain, readable file, else a finding
usable() {
    if [ ! -e "$1" ] && [ ! -h "$1" ]; then finding "$1" 'is missing.'; return 1; fi
    if ! plain "$1"; then finding "$1" 'is not a plain file.'; return 1; fi
    [ -r "$1" ] || { finding "$1" 'cannot be read.'; return 1; }
}
# Sets $hash to the SHA-256 of a file.
take_hash() { hash=$(sha256sum < "$1" 2> /dev/null) hash=${hash%% *}; }
# Sets $size to the bytes of a file.
take_size() { size=$(($(wc -c < "$1"))); }
is_number() { case $1 in '' | 0* | *[!0-9]* | ????????????????*) return 1 ;; esac; }
is_hash() { case $1 in *[!0-9a-f]*) return 1 ;; esac; [ ${#1} = 64 ]; }
held() { grep -qxF -e "$1" "$2"; }

# --- 1 files ---------------------------------------------------------------------------------------------

# Run by find: path names one a line; those that do not fit on a line go to $ODD.
one_a_line='for path do
    case $path in
    *[[:cntrl:]]*) { printf "%s" "$path" | tr "[:cntrl:]" "?"; echo; } >> "$ODD" ;;
    *) printf "%s\n" "$path" ;;
    esac
done'

search() {
    : > "$work/odd"
    ODD=$work/odd find "$1" ! -type d \( -name '*.sig' -o -name '*.sha256' -o -name '*_info.txt' -o \
        -name '*.[Ww][Aa][Vv]' \) -exec sh -c "$one_a_line" sh {} + > "$work/found" 2> /dev/null ||
        finding "$1" 'cannot be searched completely.'
    while IFS= read -r path; do
        finding "$path" 'has a control character in its name: no recorder gives such a name.'
    done < "$work/odd"
    sed -n -e 's/_info\.txt$//p' -e t -e 's/\.sha256$//p' -e t -e 's/\.sig$//p' "$work/found" |
        sed '/\/$/d' >> "$work/bases"
    grep '\.[Ww][Aa][Vv]$' "$work/found" >> "$work/waves"
}

single() {
    part=1
    for suffix in '' .sig .sha256 _info.txt .json .wav _remote.wav _local.wav _remote_local.wav; do
        case $1 in *"$suffix") ;; *) continue ;; esac
        base=${1%"$suffix"}
        if [ -e "$base.sig" ] || [ -e "$base.sha256" ] || [ -e "${base}_info.txt" ]; then
            printf '%s\n' "$base" >> "$work/bases"
            return
        fi
    done
    finding "$1" 'does not exist, or no seal lies beside it.'
}

# Take one FOLDER or FILE by its physical path, so that nothing is looked at twice.
take() {
    case $1 in /*) given=$1 ;; *) given=./$1 ;; esac
    if [ -d "$given" ]; then
        inside=$given name=''
    else
        inside=${given%/*} name=/${given##*/}
    fi
    inside=$(cd -P "${inside:-/}" 2> /dev/null && pwd -P) || { part=1; finding "$1" 'cannot be opened.'; return; }
    case $inside$name in *[[:cntrl:]]*) fail 'a given path holds a control character.' ;; esac
    if [ -n "$name" ]; then single "$inside$name"; else search "${inside%/}/"; fi
}

# --- 2 certificate ---------------------------------------------------------------------------------------

convert() { openssl x509 -in "$1" "$2" "$3" 2> /dev/null || openssl x509 -inform DER -in "$1" "$2" "$3" 2> /dev/null; }

# The bytes of an RSA key's signatures, as many as its modulus has.
size_of() {
    modulus=$(openssl rsa -pubin -in "$1" -noout -modulus 2> /dev/null) || return 1
    modulus=${modulus#*=}
    echo $((${#modulus} / 2))
}

# Sets $key to the number of certificate $1 in the table (number, fingerprint, path); 0: it is none.
take_certificate() {
    while IFS=$us read -r key fingerprint path; do
        [ "$path" != "$1" ] || return 0
    done < "$work/certificates"
    count=$((count + 1)) key=$count fingerprint=-
    if convert "$1" -noout -pubkey > "$work/key.$key" && size_of "$work/key.$key" > "$work/size.$key"; then
        fingerprint=$(convert "$1" -outform DER | sha256sum)
        fingerprint=${fingerprint%% *}
        printf '%s\n' "$fingerprint" > "$work/fingerprint.$key"
        case ${1##*/} in
        ari-recorder-"$(printf '%.16s' "$fingerprint")".crt) ;;
        ari-recorder-????????????????.crt)
            finding "$1" "was replaced: its fingerprint $fingerprint is not the one in its name." ;;
        esac
    else
        key=0
        case ${1##*/} in ari-recorder-*) finding "$1" 'cannot be read as a certificate.' ;; esac
    fi
    printf '%s\n' "$key$us$fingerprint$us$1" >> "$work/certificates"
}

# Sets $keys to the certificates for recordings in folder $1: beside it and above, the nearest first.
candidates() {
    [ -z "$trust" ] || { keys=$trust; return; }
    [ "$1" != "$candidates_of" ] || return 0
    candidates_of=$1 above=$1 keys=''
    while :; do
        for certificate in "$above"/*.crt; do
            case $certificate in *[[:cntrl:]]*) continue ;; esac
            plain "$certificate" || continue
            take_certificate "$certificate"
            [ "$key" = 0 ] || keys="$keys $key"
        done
        [ -n "$above" ] || break
        above=${above%/*}
    done
}

# --- 3 to 6: one recording -------------------------------------------------------------------------------

check() {
    base=$1 folder=${1%/*} name=${1##*/} good=1 signer=0 sealed='' proven=0
    checked=$((checked + 1))
    if usable "$base.sha256"; then
        if usable "$base.sig"; then signature; fi
        if names; then hashes; else claim; fi
    else
        claim
        usable "$base.sig"
    fi
    if [ "$signer" = 0 ] || [ "$proven" = 0 ] || ! metadata; then printf '%s\n' "$name" >> "$work/broken"; fi
    [ "$good" = 1 ] || return 0
    intact=$((intact + 1))
    say "ok    $(shown "$base")"
}

# Without a list of its own a recording still claims the WAV files of its name.
claim() { for suffix in '' _remote _local _remote_local; do printf '%s\n' "$base$suffix.wav"; done >> "$work/claimed"; }

signature() {
    candidates "$folder"
    if [ -z "$keys" ]; then
        finding "$base.sig" 'cannot be checked: there is no certificate (*.crt) in its folder or above.'
        return
    fi
    take_size "$base.sig"
    for key in $keys; do
        # openssl itself does not mind bytes that follow a signature.
        read -r expected < "$work/size.$key"
        if [ "$size" = "$expected" ] && openssl dgst -sha256 \
            -verify "$work/key.$key" -signature "$base.sig" < "$base.sha256" > /dev/null 2>&1; then
            signer=$key
            printf '%s\n' "$key" >> "$work/signers"
            return
        fi
    done
    finding "$base.sig" "is not a signature of $name.sha256 by the certificate: one of the two was changed, \
or somebody else signed."
}

# Sets $sealed, the name the files were sealed under.
names() {
    take_size "$base.sha256"
    if [ "$size" -gt 65536 ] || ! understood < "$base.sha256"; then
        [ "$signer" = 0 ] || finding "$base.sha256" "does not list one recording's files."
        return 1
    fi
    [ "$sealed" = "$name" ] ||
        finding "$base.sha256" "belongs to $sealed: files were renamed or exchanged."
}

understood() {
    texts=0 documents=0
    while IFS= read -r line || [ -n "$line" ]; do
        file=${line#*  }
        is_hash "${line%%  *}" || return 1
        case $file in
        */* | '' | "$line") return 1 ;;
        *_info.txt) texts=$((texts + 1)) ;;
        *.json) documents=$((documents + 1)) sealed=${file%.json} ;;
        esac
    done
    [ "$texts$documents" = 11 ]
}

hashes() {
    unsure=0
    each_file usable_file
    # All in one go first: sha256sum itself checks what it once wrote.
    if [ "$unsure" = 0 ] && [ "$sealed" = "$name" ] &&
        (cd "$folder/" && sha256sum -c "./$name.sha256") > /dev/null 2>&1; then
        proven=1
    else
        each_file hash_file
    fi
}

# Do $1 for every listed file: $path, with $told as its hash.
each_file() {
    while IFS= read -r line; do
        file=${line#*  } told=${line%%  *}
        case $file in
        "$sealed".wav | "$sealed"_remote.wav | "$sealed"_local.wav | "$sealed"_remote_local.wav) ;;
        "$sealed".json | "$sealed"_info.txt) ;;
        *)
            [ "$1" = hash_file ] || finding "$base.sha256" "lists $file, which is no file of this recording."
            unsure=1
            continue ;;
        esac
        path=$base${file#"$sealed"}
        "$1"
    done < "$base.sha256"
}

usable_file() {
    case $path in *.wav) printf '%s\n' "$path" >> "$work/claimed" ;; esac
    usable "$path" || unsure=1
}

hash_file() {
    plain "$path" && [ -r "$path" ] || return 0
    take_hash "$path"
    if [ "$hash" != "$told" ]; then
        finding "$path" 'was changed: it is not what was sealed.'
    else
        case $path in *_info.txt) proven=1 ;; esac
    fi
}

# The info text, whose hash and signature hold, into the tables of step 8: links and places.
metadata() {
    chain='' number='' told_name='' certificate='' before='' before_name='' before_signature='' head='' place=''
    : > "$work/put"
    while IFS= read -r line; do
        [ -n "$head" ] || head=$line
        value=${line#*: }
        case $line in
        'Name: '*) told_name=$value ;;
        'Certificate SHA-256: '*) certificate=$value ;;
        'Chain: '*) chain=$value ;;
        'Chain number: '*) number=$value ;;
        'Previous number: '*) before=$value ;;
        'Previous name: '*) before_name=$value ;;
        'Previous signature SHA-256: '*) before_signature=$value ;;
        'Place '*' target: '*) place=$value ;;
        'Place '*' number: '*) is_number "$value" || value=0; place=$place$us$value ;;
        'Place '*' previous name: '*) printf '%s\n' "$place$us$value" >> "$work/put" ;;
        'Place '*' previous name:') printf '%s\n' "$place$us" >> "$work/put" ;;
        esac
    done < "${base}_info.txt"
    if [ "$head" != ari-recorder/info/1 ] || ! is_number "$number" || ! is_hash "$chain"; then
        finding "${base}_info.txt" 'cannot be understood.'
        return 1
    fi
    read -r fingerprint < "$work/fingerprint.$signer"
    [ "$told_name" = "$sealed" ] || finding "${base}_info.txt" "names the recording $told_name."
    [ "$certificate" = "$fingerprint" ] ||
        finding "${base}_info.txt" "names another certificate than the one that signed, $fingerprint."
    [ -n "$trust" ] || [ "$chain" = "$fingerprint" ] ||
        finding "$base.sig" "was signed with the certificate $fingerprint, but its chain was begun with $chain."
    printf '%s\n' "$chain$us$sealed" >> "$work/present"
    take_hash "$base.sig"
    row=$chain$us$number$us$sealed$us$hash$us$before$us$before_name$us$before_signature
    printf '%s\n' "$row$us$base" >> "$work/links"
    while IFS= read -r line; do
        printf '%s\n' "$chain$us$line$us$sealed$us$base" >> "$work/places"
    done < "$work/put"
}

# --- 8 chain ---------------------------------------------------------------------------------------------

# Copies, and each link against the one before it. Rows of counted: chain number before_name name base
links() {
    sort -t "$us" -k 1,1 -k 2,2n -k 8 "$work/links" > "$work/sorted"
    last_chain='' last=0 last_name='' last_signature='' last_base=''
    while IFS=$us read -r chain number name signature before before_name before_signature base; do
        [ "$chain" = "$last_chain" ] || last=0
        if [ "$number" = "$last" ]; then
            printf '%s\n' "$base" >> "$work/rejected"
            if [ "$signature" = "$last_signature" ]; then
                finding "$base.sig" "is a second copy of number $number, $last_base.sig."
            else
                finding "$base.sig" "claims number $number of the chain, as $last_base.sig does."
            fi
            continue
        fi
        if [ "${before:-0}" != $((number - 1)) ]; then
            finding "$base.sig" "has number $number but does not follow $((number - 1))."
        elif [ "$last" = "${before:-none}" ] &&
            [ "$before_name$us$before_signature" != "$last_name$us$last_signature" ]; then
            finding "$base.sig" "follows another recording than number $last, $last_name, as it lies here: \
it names $before_name with another signature."
        fi
        printf '%s\n' "$chain$us$number$us$before_name$us$name$us$base" >> "$work/counted"
        last_chain=$chain last=$number last_name=$name last_signature=$signature last_base=$base
    done < "$work/sorted"
}

# Rows of table $2 that belong to chain $1, without the chain.
of_chain() { sed -n "s/^$1$us//p" "$work/$2"; }

# The places of chain $1 in the archive of target $2, as rows: number before_name name base
of_target() {
    of_chain "$1" places | while IFS=$us read -r one number before_name name base; do
        [ "$one" = "$2" ] || continue
        if [ -s "$work/rejected" ] && held "$base" "$work/rejected"; then continue; fi
        printf '%s\n' "$number$us$before_name$us$name$us$base"
    done
}

# The highest number in a table less how many different ones there are.
lacking() {
    highest=$(cut -d "$us" -f 1 "$1" | sort -n | sed -n '$p')
    printf '%s' $((${highest:-0} - $(cut -d "$us" -f 1 "$1" | sort -u | wc -l)))
}

# Judge chain $1 by the count with the fewest gaps: its own, or that of a target all its recordings have.
judge() {
    of_chain "$1" counted > "$work/own"
    members=$(($(wc -l < "$work/own"))) label='whole chain' least=$(lacking "$work/own")
    cp "$work/own" "$work/best"
    if [ -n "$target" ]; then
        of_target "$1" "$target" > "$work/best"
        label="archive of target $target"
        strangers
    else
        : > "$work/fits"
        of_chain "$1" places | cut -d "$us" -f 1 | sort -u > "$work/targets"
        while IFS= read -r one; do
            of_target "$1" "$one" > "$work/try"
            [ $(($(wc -l < "$work/try"))) = "$members" ] || continue
            short=$(lacking "$work/try")
            printf '%s\n' "$short$us$one$us$(after_gap)" >> "$work/fits"
            [ "$short" -lt "$least" ] || continue
            least=$short label="archive of target $one"
            cp "$work/try" "$work/best"
        done < "$work/targets"
        [ "$part" = 1 ] || rivals
    fi
    order
    [ "$part" = 0 ] || label=part
    say "chain $1: $members recordings, counted as $(shown "$label"), last number $last"
    case $target$label in
    'archive of target '*) say 'Whose archive this is was guessed: name its target with -t.' ;;
    esac
}

# The recording that follows the first gap in $work/try.
after_gap() {
    last=0
    sort -n "$work/try" | while IFS=$us read -r number before_name name base; do
        [ "$number" -le $((last + 1)) ] || { printf '%s' "$base"; break; }
        last=$number
    done
}

# An archive thinned out to what another target also holds is whole when counted as that one's.
rivals() {
    while IFS=$us read -r short one base; do
        [ "$short" -le "$least" ] || finding "$base.sig" "this may be the $label, or the archive of target \
$one with $short missing: name the target (--target, -t)."
    done < "$work/fits"
}

strangers() {
    cut -d "$us" -f 4 "$work/own" | sort > "$work/all"
    cut -d "$us" -f 4 "$work/best" | sort | comm -13 - "$work/all" > "$work/strangers"
    while IFS= read -r base; do
        finding "$base.sig" "was never meant for the target $target."
    done < "$work/strangers"
}

order() {
    sort -t "$us" -k 1,1n -k 4 "$work/best" > "$work/sorted"
    last=0 last_name=''
    while IFS=$us read -r number before_name name base; do
        if [ "$number" = "$last" ]; then
            finding "$base.sig" "claims number $number ($label), as $last_name does."
        elif [ "$number" = $((last + 1)) ] && [ "$before_name" != "$last_name" ]; then
            finding "$base.sig" "names ${before_name:-nothing} before it, but ${last_name:-nothing} is there."
        elif [ "$number" -gt $((last + 1)) ] && [ "$part" = 0 ]; then
            gap
        fi
        last=$number last_name=$name
    done < "$work/sorted"
}

gap() {
    by="($before_name, named by $name); counted as $label."
    if [ $((last + 2)) != "$number" ]; then
        finding "$base.sig" "numbers $((last + 1)) to $((number - 1)) are missing or faulty, among them $by"
    elif ! held "$before_name" "$work/broken" && ! held "$chain$us$before_name" "$work/present"; then
        finding "$base.sig" "number $((last + 1)) is missing $by"
    fi # else it is here, and was found faulty already
}

# --- run -------------------------------------------------------------------------------------------------

for tool in openssl sha256sum; do
    command -v "$tool" > /dev/null || fail "$tool is needed but not installed."
done
work=$(mktemp -d 2> /dev/null) || { work=${TMPDIR:-/tmp}/check.$$ && mkdir "$work"; } || fail 'no temporary folder.'
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
for table in bases waves claimed certificates signers links places counted rejected broken present; do
    : > "$work/$table"
done
count=0

while getopts c:t:pqh option; do
    case $option in
    c)
        case $OPTARG in *[[:cntrl:]]*) fail 'a given path holds a control character.' ;; -*) OPTARG=./$OPTARG ;; esac
        [ -f "$OPTARG" ] && [ -r "$OPTARG" ] || fail "$OPTARG cannot be read."
        take_certificate "$OPTARG"
        [ "$key" != 0 ] || fail "$OPTARG cannot be read as a certificate."
        trust="$trust $key" ;;
    t) target=$OPTARG ;;
    p) part=1 ;;
    q) quiet=1 ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || usage

for given do
    take "$given"
done
sort -u "$work/bases" > "$work/sets"
while IFS= read -r set; do
    check "$set"
done < "$work/sets"

sort -u "$work/claimed" > "$work/of_seals"
sort -u "$work/waves" | comm -23 - "$work/of_seals" > "$work/unclaimed"
while IFS= read -r path; do
    finding "$path" 'is sealed by no recording beside it.'
done < "$work/unclaimed"

links
cut -d "$us" -f 1 "$work/counted" | sort -u > "$work/chains"
while IFS= read -r chain; do
    judge "$chain"
done < "$work/chains"

while IFS=$us read -r key fingerprint path; do
    many=$(grep -c -x -e "$key" "$work/signers")
    [ "$key" = 0 ] || [ "$many" = 0 ] || say "signed by $fingerprint ($many recordings, $(shown "$path"))"
done < "$work/certificates"
[ -n "$trust" ] || [ ! -s "$work/signers" ] ||
    say 'Compare this fingerprint with the one that the owner of the recorder told you.'
printf 'result: %s recordings checked, %s intact by themselves, %s findings\n' "$checked" "$intact" "$wrong"
[ "$wrong" = 0 ] || exit 1
[ "$checked" != 0 ] || exit 2
exit 0
