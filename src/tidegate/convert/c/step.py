"""The state of a model in C, and the functions that begin and read a sequence."""

from collections.abc import Iterator

from tidegate.convert.c import code as c_code
from tidegate.convert.c.constants import stored
from tidegate.models.network import Network
from tidegate.models.sequence_model import SequenceModel
from tidegate.models.text_model import TextModel
from tidegate.ops.compressed import Compressed
from tidegate.sequences.features import LIMIT
from tidegate.sequences.summaries import summary_parts


def fields(model: Network) -> dict[str, tuple[int, ...]]:
    """Returns the fields of the state beside the counter, and their shapes."""
    features, layers = width(model), model.config.num_layers
    fields: dict[str, tuple[int, ...]] = {}
    if model.stack:
        fields = dict.fromkeys(model.stack.cell.states, (layers, features))
    elif model.rate is not None:
        fields["balance"] = (features,)
    for part in summary_parts(model.summary):
        if part != "last":
            fields["sum" if part == "mean" else part] = (features,)
    missing = len(getattr(model.config, "missing", ()))
    return fields | (dict.fromkeys(("carried", "unseen"), (missing,)) if missing else {})


def width(model: Network) -> int:
    """Returns the numbers of an output, H of a stack, I of a pooling."""
    return model.config.hidden_size if model.stack else model.config.input_size


def inputs(model: Network) -> int:
    """Returns the numbers of a step as a caller has them."""
    return model.config.features if isinstance(model, SequenceModel) else model.config.input_size


def parameter(model: Network) -> str:
    """Declares what a step is given."""
    return "int32_t word" if isinstance(model, TextModel) else "const float numbers[NAME_INPUTS]"


def start(model: Network) -> str:
    """Writes the function that begins a sequence."""
    lines = ["    state->count = 0;"]
    for name, shape in fields(model).items():
        for axis, size in zip("ij", shape, strict=False):
            lines.append(f"{'    ' if axis == 'j' else ''}    for (int {axis} = 0; {axis} < {size}; {axis}++)")
        lines.append(
            f"        state->{name}{''.join(f'[{axis}]' for axis, _ in zip('ij', shape, strict=False))} = 0.0f;"
        )
    return "\nvoid NAME_start(NAME_state *state)\n{\n" + "\n".join(lines) + "\n}\n"


def step(model: Network) -> str:
    """Writes the function that reads a step."""
    I, F = model.config.input_size, width(model)
    lines = [*_read(model, I)]
    if model.stack:
        for layer in range(model.config.num_layers):
            x = "x" if not layer else f"state->{model.stack.cell.states[0]}[{layer - 1}]"
            lines.append(_call(model, layer, x))
        y = f"state->{model.stack.cell.states[0]}[{model.config.num_layers - 1}]"
    elif model.rate is not None:
        lines += [
            f"    for (int i = 0; i < {I}; i++)",
            "        state->balance[i] = NAME_rate[i] * state->balance[i] + x[i];",
        ]
        y = "state->balance"
    else:
        y = "x"
    for part in summary_parts(model.summary):
        if part == "mean":
            lines += [f"    for (int i = 0; i < {F}; i++)", f"        state->sum[i] += {y}[i];"]
        elif part == "max":
            lines.append(f"    for (int i = 0; i < {F}; i++)")
            lines.append(
                f"        if (state->count == 0 || {y}[i] > state->max[i])\n            state->max[i] = {y}[i];"
            )
    lines += ["    state->count++;", "    return 0;"]
    return f"\nint NAME_step(NAME_state *state, {parameter(model)})\n{{\n" + "\n".join(lines) + "\n}\n"


def _call(model: Network, layer: int, x: str) -> str:
    """Writes the call of a layer."""
    assert model.stack is not None  # noqa: S101 - for mypy: this is asked of stacks
    small = isinstance(stored(model, "rnn.weight_hh_l0"), Compressed)
    weights = [f"NAME_w_ih_{layer}", f"NAME_w_hh_{layer}"]
    weights += [f"{name}_scale" for name in weights] if small else []
    weights += [f"NAME_b_ih_{layer}", f"NAME_b_hh_{layer}", x]
    weights += [f"state->{name}[{layer}]" for name in model.stack.cell.states]
    inputs = model.config.hidden_size if layer else model.config.input_size
    return f"    NAME_layer({inputs}, {', '.join(weights)});"


def _read(model: Network, I: int) -> Iterator[str]:
    """Yields the lines that make the vector of a step."""
    if isinstance(model, TextModel):
        small = isinstance(stored(model, "embedding.weight"), Compressed)
        yield f"    float x[{I}];"
        yield "    if (word < 0 || word >= NAME_WORDS)\n        return 1;"
        if model.most_steps:
            yield f"    if (state->count >= {model.most_steps}u)\n        return 0; /* no more words are read */"
        row = f"NAME_embedding[(size_t)word * {I} + (size_t)i]"
        value = f"(float){row} * NAME_embedding_scale[word]" if small else row
        yield f"    for (int i = 0; i < {I}; i++)\n        x[i] = {value};"
        return
    missing = getattr(model.config, "missing", ())
    may = f"static const unsigned char may_be_missing[{inputs(model)}] = {{"
    if missing:
        yield f"    {may}{', '.join(str(int(k in missing)) for k in range(inputs(model)))}}};"
    yield f"    float x[{I}];"
    yield "    for (int i = 0; i < NAME_INPUTS; i++)"
    allowed = " && (numbers[i] == numbers[i] || !may_be_missing[i])" if missing else ""
    yield f"        if (numbers[i] - numbers[i] != 0.0f{allowed})"
    yield "            return 1;"
    if not isinstance(model, SequenceModel):
        yield f"    for (int i = 0; i < {I}; i++)\n        x[i] = numbers[i];"
        return
    yield "    for (int i = 0; i < NAME_INPUTS; i++) {"
    yield "        x[i] = (numbers[i] - NAME_center[i]) / NAME_scale[i];"
    yield f"        x[i] = x[i] > {LIMIT:.1f}f ? {LIMIT:.1f}f : x[i] < -{LIMIT:.1f}f ? -{LIMIT:.1f}f : x[i];"
    yield "    }"
    for m, k in enumerate(missing):
        gap, age = model.config.features + m, model.config.features + len(missing) + m
        yield f"    x[{gap}] = numbers[{k}] == numbers[{k}] ? 0.0f : 1.0f;"
        yield f"    state->unseen[{m}] = x[{gap}] != 0.0f ? state->unseen[{m}] + 1.0f : 0.0f;"
        yield f"    x[{k}] = state->carried[{m}] = x[{gap}] != 0.0f ? state->carried[{m}] : x[{k}];"
        yield f"    x[{age}] = NAME_log(1.0f + state->unseen[{m}]);"


def layer(model: Network, small: bool) -> str:
    """Writes a step of one layer."""
    assert model.stack is not None  # noqa: S101 - for mypy: this is asked of stacks
    cell, H = model.stack.cell, model.config.hidden_size
    states = "".join(f", float *{name}" for name in cell.states)
    kind, scales = ("small_", ", u_scale + (first)") if small else ("", "")
    pointer = "const int8_t *" if small else "const float *"
    scaled = ", const float *w_scale, const float *u_scale" if small else ""
    recur = f"NAME_{kind}product(out, u + (first){scales}, b_hh + (first), rows, {H}, {cell.G * H}, v)"
    read = f"    float read[{H}];\n" if "read[" in c_code.STEPS[type(cell)](cell) else ""
    return (
        f"\nstatic void NAME_layer(int inputs, {pointer}w, {pointer}u{scaled}, const float *b_ih, const float *b_hh,\n"
        f"                       const float *x{states})\n{{\n"
        f"    enum {{ H = {H} }};\n    float a[{cell.G * H}], c[{cell.G * H}];\n{read}"
        f"    NAME_{kind}product(a, w{', w_scale' if small else ''}, b_ih, {cell.G * H}, inputs, {cell.G * H}, x);\n"
        f"#define RECUR(out, first, rows, v) {recur}\n"
        f"{c_code.STEPS[type(cell)](cell)}#undef RECUR\n}}\n"
    )
