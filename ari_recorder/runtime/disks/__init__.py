"""The disks that recordings need: measured and watched, judged, and reported to `status`."""
