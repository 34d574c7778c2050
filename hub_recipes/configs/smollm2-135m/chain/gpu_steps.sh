# The preset `gpu` on one card that is lent for minutes: one piece of it, and then everything that is done so far.
# Whoever sources this sets DATA (a built dataset), RUNS (a folder that stays), `left N` (the minutes that are left, at
# most N) and `bring NAME FOLDER` (packs a folder into files that may come back). MORE may hold further options, such as
# --rehearse.
logs2lang train all --preset gpu --dataset "$DATA" --output "$RUNS/chain" --minutes "$(left 8)" ${MORE:-}
for step in "$RUNS"/chain/*/; do
  made="$RUNS/back/$(basename "$step")" && mkdir -p "$made"
  for part in adapter results.json results.md results.svg; do [ ! -e "$step$part" ] || cp -r "$step$part" "$made/"; done
done
bring chain "$RUNS/back"
