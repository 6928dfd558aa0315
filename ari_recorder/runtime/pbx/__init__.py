"""What each PBX needs of its own: link, gate, prompts, legs, and what becomes of calls when it is away."""
