set -e
P=/root/w/fleet/target/debug/psdctl
D=/root/w/x/fleet/tenk; rm -rf $D
$P dev up $D >/dev/null
$P --config $D ceremony new lock --out $D/c.toml >/dev/null
sed -i '/^\[lock\]/,$d' $D/c.toml
cat >> $D/c.toml <<'T'
[create-psds]
residence = "wrapped"
[[create-psds.psds]]
first = "PS010100001"
count = 10000
tenant = "acme"
licence = "L-1000"
licensing_zip = "94301"
format = "ibi"
software_id = "psdd01"
token = "main"
[create-psds.psds.limits]
smallest_postage = "0.01"
largest_postage = "100"
largest_descending = "1000"
T
for o in anna ben; do $P ceremony approve $D/c.toml --operator $o --key $D/operators/$o.key --out $D/c.$o --yes >/dev/null; done
time timeout 200 $P --config $D ceremony run $D/c.toml --approvals $D/c.anna $D/c.ben | tail -2
pid=$(cat $D/run/psdd.pid); grep VmRSS /proc/$pid/status
kill -9 $pid; sleep 0.3
time $P dev up $D >/dev/null
grep VmRSS /proc/$(cat $D/run/psdd.pid)/status
grep "ledger holds" $D/run/psdd.log | tail -1
$P dev down $D
