#!/usr/bin/env bash
# A dict with the key False comes back from a file of skops with the key True.
#
# Versions: skops 0.16.0.
# Expected: skops.io, a safe pickle for scikit-learn, returns what was saved or says that it cannot.
# Seen: keys are texts in its JSON, and are made again by calling their type: bool("False") is True.
#     {False: 1.0, True: 2.0} -> {True: 2.0}      {False: 1.0} -> {True: 1.0}
#     {1: "a", "1": "b"}      -> {1: "b"}
#   There is no warning. A key None can be saved and not loaded.
# Why it matters: class weights by label, {False: 1, True: 5}, and maps from classes to names are such dicts; a classifier that
#   keeps one loses a class, or weighs the wrong one.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q skops==0.16.0
cd "$tmp"
venv/bin/python - <<'PY'
import skops
import skops.io

print("skops", skops.__version__)


def again(value):
    data = skops.io.dumps(value)
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


for given in ({False: 1.0, True: 2.0}, {False: 1.0}, {1: "a", "1": "b"}):
    print(given, "->", again(given))
assert str(again({False: 1.0, True: 2.0})) == "{True: 2.0}"
assert str(again({False: 1.0})) == "{True: 1.0}"
assert str(again({1: "a", "1": "b"})) == "{1: 'b'}"
try:
    again({None: 1.0})
except AttributeError as error:
    print("None:", error)
else:
    raise SystemExit("a key None is loaded now")
PY
