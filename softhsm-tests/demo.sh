#!/usr/bin/env bash
# The main job: a development appliance, a mailing signed over mutual TLS, every mark verified, one sheet to look at.
# A second run signs the same pieces with the same keys again, so it debits nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

psdctl=target/debug/psdctl
dir=target/demo
mailing=softhsm-tests/mailing/spring-mailing.csv

# An appliance that was interrupted while it was made, or whose ledger is of another format, can only be made anew.
format=$(sed -n 's/.*FORMAT: i64 = \([0-9]*\);/\1/p' daemon/ledger/src/schema.rs)
[ -e "$dir/complete" ] && [ "$(cat "$dir/format" 2>/dev/null)" = "$format" ] || { "$psdctl" dev down "$dir" >/dev/null; rm -rf "$dir"; }
trap '"$psdctl" dev down "$dir" >/dev/null' EXIT

echo "── a development appliance, whose PSD asks the postal authority for value when it runs low"
"$psdctl" dev up "$dir" --certifying --value 2000 --top-up-below 150 --top-up-amount 250
echo "$format" > "$dir/format"
"$psdctl" --config "$dir" vendor psds
echo
echo "── a mailing of $(($(wc -l < "$mailing") - 1)) pieces"
"$psdctl" --config "$dir" vendor sign --csv "$mailing" --out "$dir/results.jsonl" --html "$dir/sheet.html"
echo
echo "── every mark once more, offline, from the file"
"$psdctl" --config "$dir" indicium verify "$dir/results.jsonl" | tail -n 3
echo
echo "── a new indicium key, by a ceremony that two of three operators approve"
rotation=$dir/rotation.toml
requests=$dir/requests
if [ ! -e "$requests" ]; then
  "$psdctl" --config "$dir" ceremony new rotate-key --out "$rotation"
  for operator in anna ben; do
    "$psdctl" ceremony approve "$rotation" --operator "$operator" --key "$dir/operators/$operator.key" \
      --out "$dir/rotation.$operator.approval" --yes >/dev/null
  done
  run=("$psdctl" --config "$dir" ceremony run "$rotation" --approvals "$dir"/rotation.{anna,ben}.approval)
  "${run[@]}" || echo "   the key is made; it waits for the authority's certificate"
  "$psdctl" --config "$dir" operator requests "$requests"
  "$psdctl" authority issue "$dir/authority" --exchange "$requests" --appliance "$(cat "$dir/pki/appliance.name")" --licence L-1000 --renew
  "$psdctl" --config "$dir" operator certificates "$requests"
  cat "$requests"/*.pem >> "$dir/certificates.pem"
  "${run[@]}"
fi
"$psdctl" --config "$dir" key list
echo
echo "── thirty pieces more, under the new key; marks of both generations verify"
head -n 31 "$mailing" > "$dir/more.csv"
"$psdctl" --config "$dir" vendor sign --csv "$dir/more.csv" --out "$dir/more.jsonl"
"$psdctl" --config "$dir" indicium verify "$dir/results.jsonl" | tail -n 3
"$psdctl" --config "$dir" indicium verify "$dir/more.jsonl" | tail -n 3
echo
echo "── corrected mail: five of these pieces on the scale once more, and two that carry no mark"
if [ ! -e "$dir/corrected.csv" ]; then
  weighed=$(date +%s%3N)
  {
    echo class,destination,weight_mg,scale,weighed,indicium
    head -n 5 "$dir/more.jsonl" |
      sed "s/.*\"indicium\":\"\([0-9a-f]*\)\".*/letter-metered,20260,90000,dev-1,$weighed,\1/"
    for zip in 60601 94301; do echo "letter-metered,$zip,20000,dev-1,$weighed,"; done
  } > "$dir/corrected.new"
  mv "$dir/corrected.new" "$dir/corrected.csv"
fi
"$psdctl" --config "$dir" vendor certify --rates us-domestic --csv "$dir/corrected.csv" --out "$dir/corrected.jsonl"
echo
echo "── the post checks those pieces by what stands on them: certification number beside mark"
{
  echo number,indicium
  paste -d, <(sed -n 's/.*"number":"\([^"]*\)".*/\1/p' "$dir/corrected.jsonl") <(tail -n +2 "$dir/corrected.csv" | cut -d, -f6)
} > "$dir/scans.csv"
sed -n 's/.*"printed_line":"\([^"]*\)".*/   printed next to the first mark: \1/p' "$dir/corrected.jsonl" | head -n 1
"$psdctl" --config "$dir" certify verify --scans "$dir/scans.csv"
echo
echo "── a run of letters that carry 0.50 each: 502 are announced, with 150 for one ZIP; 501 come, and that ZIP has 149"
if [ ! -e "$dir/run.csv" ]; then
  printf 'zip,pieces\n20260,150\n60601,352\ntotal,502\n' > "$dir/manifest.csv"
  date -u +%F > "$dir/run.date"
  weighed=$(date +%s%3N)
  {
    echo class,destination,weight_mg,scale,weighed,imprint
    for zip in $(yes 20260 | head -n 149) $(yes 60601 | head -n 352); do echo "letter-metered,$zip,20000,dev-1,$weighed,0.50"; done
  } > "$dir/run.new"
  mv "$dir/run.new" "$dir/run.csv"
fi
"$psdctl" --config "$dir" vendor run open spring-run --rates us-domestic --class letter-metered --manifest "$dir/manifest.csv" \
  --discount 5-digit --discount mixed-aadc --date "$(cat "$dir/run.date")" || [ $? = 1 ]
"$psdctl" --config "$dir" vendor certify --run spring-run --rates us-domestic --receipts --csv "$dir/run.csv" --out "$dir/run.jsonl"
"$psdctl" --config "$dir" vendor run close spring-run || [ $? = 1 ]
echo
echo "── the authority's books against the PSDs"
"$psdctl" --config "$dir" --json vendor psds > "$dir/registers.json"
"$psdctl" authority report "$dir/authority" --registers "$dir/registers.json"
echo
echo "── a postal inspector looks: the log mirrored, every PSD audited and held against it"
report=$dir/inspection.html
# Red is told and does not end the demo before its sheet.
"$psdctl" --config "$dir" inspect --report "$report" || echo "   the inspection found something red"
"$psdctl" --config "$dir" inspect verify "$report" | head -n 1
echo
echo "── the ledger, offline"
"$psdctl" dev down "$dir" >/dev/null
"$psdctl" ledger verify "$dir/state" --appliance-root "$dir/pki/authority-root.pem"
echo
echo "the first marks as a person would see them: $PWD/$dir/sheet.html"
echo "the inspection with its evidence, one page:  $PWD/$report"
