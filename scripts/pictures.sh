#!/usr/bin/env bash
# Draws docs/pictures/*.svg again: what the program prints today, run on the fixtures on a terminal of 80 columns, and bars of a table.
# With PNG=DIR and Chromium it also leaves there how they look, on a light ground and on a dark one.
set -euo pipefail
cd "$(dirname "$0")/.."
BARGE_PICTURES=draw cargo test --locked --test pictures _show_
git --no-pager diff --stat -- docs/pictures 2>/dev/null || true
[ -n "${PNG:-}" ] || exit 0
mkdir -p "$PNG"
for picture in docs/pictures/*.svg; do
    name=$(basename "$picture" .svg)
    size=$(sed -n 's/.* width="\([0-9]*\)[0-9.]*" height="\([0-9]*\).*/\1,\2/p;q' "$picture")
    for ground in light dark; do
        settings=()
        [ "$ground" = light ] || settings=(--blink-settings=preferredColorScheme=0)
        chromium --headless --no-sandbox --hide-scrollbars --window-size="$size" "${settings[@]}" \
            --screenshot="$PNG/$name-$ground.png" "file://$PWD/$picture" 2>/dev/null
    done
done
