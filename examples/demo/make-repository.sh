#!/usr/bin/env bash
# Makes the bare git repository TARGET out of the files in the folder SOURCE, in one commit.
# Same files, same commit: author, dates and file modes are fixed, and no one's git settings count.
set -euo pipefail

if [[ $# -ne 2 ]]; then
  echo "usage: $0 SOURCE TARGET" >&2
  exit 2
fi
source=$1
target=$2

export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
export GIT_AUTHOR_NAME=digits GIT_AUTHOR_EMAIL=digits@example.invalid
export GIT_COMMITTER_NAME=digits GIT_COMMITTER_EMAIL=digits@example.invalid
export GIT_AUTHOR_DATE='2026-01-01T00:00:00+0000' GIT_COMMITTER_DATE='2026-01-01T00:00:00+0000'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A ConfigMap's volume holds links into a hidden folder: take what they point to.
for file in "$source"/*; do
  if [[ -f $file ]]; then
    install -m 0644 "$file" "$work/"
  fi
done

rm -rf "$target"
git init --quiet --bare --initial-branch=main "$target"
git --git-dir="$target" --work-tree="$work" add --all .
git --git-dir="$target" --work-tree="$work" commit --quiet --message='Recognize handwritten digits'
git --git-dir="$target" rev-parse main
