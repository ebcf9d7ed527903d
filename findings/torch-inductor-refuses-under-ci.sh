#!/usr/bin/env bash
# torch.compile refuses a custom operation that has a decomposition, but only where the environment has CI.
#
# Versions: torch 2.13.0 (x86), numpy 2.4.6.
# Expected: what compiles on a developer's machine compiles in continuous integration, where CI=true is set.
# Seen: an operation of torch.library.custom_op whose decomposition stands in torch's table of them
#   (torch._decomp.register_decomposition, as exporters use it), and that torch.compile is to leave in its graph:
#     without CI: compiled, right
#     CI=true: InductorError: make_fallback(...): a decomposition exists, we should switch to it
#     CI=true, with the cache on disk of a run without CI: compiled, right
#   inductor's `make_fallback` has an assertion for PyTorch's own CI, which asks for os.getenv("CI"). The message
#   offers to remove the decomposition, and does not mention the variable.
# Why it matters: it fails on the first run of a fresh machine of CI alone, and a warm cache hides it. An operation
#   is spared by its name in torch._inductor.lowering.FALLBACK_ALLOW_LIST, which is set while a graph is made.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.6 setuptools
cd "$tmp"
cat > compiled.py <<'PY'
import torch


@torch.library.custom_op("mine::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(x.numpy() * 2)


@twice.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


@torch._decomp.register_decomposition(torch.ops.mine.twice.default)
def decomposed(x: torch.Tensor) -> torch.Tensor:
    return x * 2


x = torch.arange(5.0)
compiled = torch.compile(lambda x: torch.ops.mine.twice(x) + 1, backend="inductor")
try:
    result = compiled(x)
    print("compiled,", "right" if torch.equal(result, 2 * x + 1) else "wrong")
except Exception as error:
    lines = [line for line in str(error).splitlines() if "make_fallback" in line]
    print(f"{type(error).__name__}: {lines[0].partition(',')[0] if lines else error}")
PY
venv/bin/python -c 'import torch; print("torch", torch.__version__)'
run() { env -u CI TORCHINDUCTOR_CACHE_DIR="$tmp/$1" "${@:2}" venv/bin/python compiled.py; }
without=$(run cold-1)
with=$(run cold-2 CI=true)
cached=$(run cold-1 CI=true)
printf 'without CI:                  %s\nCI=true:                     %s\nCI=true, cached without it:  %s\n' "$without" "$with" "$cached"
[ "$without" = "compiled, right" ]
[[ $with == *"make_fallback(mine.twice.default): a decomposition exists"* ]]
[ "$cached" = "compiled, right" ]
