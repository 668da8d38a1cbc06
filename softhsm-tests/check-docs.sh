#!/usr/bin/env bash
# Documents name things that exist: every link to a file, every path of the repository in code quotes, every make target.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
complain() { echo "$1" >&2; status=1; }

for page in README.md docs/*.md; do
  dir=$(dirname "$page")
  while read -r target; do
    case $target in http*|\#*) continue ;; esac
    [ -e "$dir/${target%%#*}" ] || complain "$page: no file behind the link ($target)"
  done < <(grep -oP '\]\(\K[^)\s]+' "$page" || true)
  while read -r path; do
    compgen -G "$path" >/dev/null || complain "$page: no such path ($path)"
  done < <(grep -oP '`\K(daemon|hsm-profiles|policy|packaging|softhsm-tests|docs)/[A-Za-z0-9_./*-]+(?=`)' "$page" | sort -u || true)
  while read -r target; do
    grep -qE "^$target:" Makefile || complain "$page: no such target (make $target)"
  done < <(grep -oP '`make \K[a-z]+' "$page" | sort -u || true)
done
exit $status
