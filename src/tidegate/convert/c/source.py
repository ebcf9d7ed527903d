"""A model as the text of one C99 file: declarations, weights, a step, results, and a program to try it."""

from collections.abc import Iterator
from math import prod
from string import Template

from tidegate.convert.c import code as c_code
from tidegate.convert.c.constants import constants, stored
from tidegate.convert.c.step import fields, inputs, layer, parameter, start, step, width
from tidegate.models.network import Network
from tidegate.models.text_model import TextModel
from tidegate.ops.compressed import Compressed
from tidegate.sequences.summaries import summary_parts

_CHECK = """        if (!whole || !NAME_ended(end)) {{
            fprintf(stderr, "line %lu is not {}\\n", number);
            return 2;
        }}
"""

_HEAD = Template("""/* NAME: $title.
   Written by tidegate $version. Standard C99: no allocation, no library, no variable that keeps anything.

       static NAME_state state;
       float $result[$size];
       NAME_start(&state);
       while (...)
           NAME_step(&state, $argument);
       NAME_$function(&state, $result);

   Results may be asked for after any step. A state is a value: it can be copied, stored and restored by assignment.
   A state has $bytes bytes, and a step takes about $stack bytes of stack.
   NAME_step returns 0, or 1 if it refuses $refused; nothing is read then.
   Declarations alone, for other files: #define NAME_DECLARATIONS, then #include this file.
   A program to try it: cc -std=c99 -O2 -DNAME_MAIN FILE.c -o NAME
   Results have the same bits with any compiler and at any level of optimisation that keeps to the standard: use
   -std=c99, not -std=gnu99 or -ffast-math. */

#ifndef NAME_H
#define NAME_H
#include <stddef.h>
#include <stdint.h>

$macros
typedef struct {
$fields} NAME_state;

#ifdef __cplusplus
extern "C" {
#endif
void NAME_start(NAME_state *state);
int NAME_step(NAME_state *state, $parameter);
void NAME_vector(const NAME_state *state, float vector[NAME_VECTOR]);
$declarations#ifdef __cplusplus
}
#endif
#endif

#ifndef NAME_DECLARATIONS
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif
""")


def c_source(model: Network, name: str, version: str) -> str:
    """Writes a model in C.

    Args:
        model: The model; its weights are written as they are kept, bfloat16 as float32.
        name: What all names in the file begin with, a word of letters, digits and underscores.
        version: That of the program that writes it.
    """
    parts = [_head(model, version), *constants(model), *_functions(model), start(model), step(model), _results(model)]
    text = "".join([*parts, "#endif\n", _program(model)])
    return text.replace("NAME", name)


def _head(model: Network, version: str) -> str:
    config, texts = model.config, isinstance(model, TextModel)
    macros = {"VECTOR": config.summary_size}
    macros |= {"WORDS": model.config.vocab_size} if isinstance(model, TextModel) else {"INPUTS": inputs(model)}
    declarations = ""
    if config.has_head:
        macros["OUTPUTS"] = config.output_size
        declarations += "void NAME_scores(const NAME_state *state, float scores[NAME_OUTPUTS]);\n"
        declarations += "extern const char *const NAME_labels[NAME_OUTPUTS];\n"
    if config.aim.has_probabilities:
        declarations += "void NAME_probabilities(const NAME_state *state, float probabilities[NAME_OUTPUTS]);\n"
    function = "vector" if not config.has_head else "probabilities" if config.aim.has_probabilities else "scores"
    refused = (
        "a word id out of 0 ... NAME_WORDS - 1" if texts else "an infinite number, or NaN where none may be missing"
    )
    return _HEAD.substitute(
        title=f"a network of tidegate, {config.reader.title}, {config.task}",
        version=version,
        bytes=4 + 4 * sum(map(prod, fields(model).values())),
        stack=4 * (model.config.input_size + (2 * model.stack.cell.G + 1) * width(model) if model.stack else 1) + 100,
        result=function,
        size="NAME_OUTPUTS" if config.has_head else "NAME_VECTOR",
        argument="word_id" if texts else "numbers",
        function=function,
        refused=refused,
        macros="".join(f"#define NAME_{macro} {number}\n" for macro, number in macros.items()),
        fields="    uint32_t count;\n"
        + "".join(
            f"    float {field}{''.join(f'[{size}]' for size in shape)};\n" for field, shape in fields(model).items()
        ),
        parameter=parameter(model),
        declarations=declarations,
    )


def _functions(model: Network) -> Iterator[str]:
    """Yields the functions that a step needs, and no others, since a compiler warns of what is not used."""
    used = _activations(model) | ({"sigmoid"} & {model.config.aim.activation})
    if used & {"sigmoid", "tanh"} or model.config.aim.has_probabilities:
        yield c_code.FUNCTIONS
    yield from (code for name, code in c_code.ACTIVATIONS.items() if name in used)
    if getattr(model.config, "missing", ()):
        yield c_code.LOG
    small = bool(model.stack) and isinstance(stored(model, "rnn.weight_hh_l0"), Compressed)
    if model.config.has_head or (model.stack and not small):
        yield c_code.PRODUCT.substitute(kind="", type="float", scale="", scaled="")
    if small:
        scale = "const float *restrict scale, "
        yield c_code.PRODUCT.substitute(kind="small_", type="int8_t", scale=scale, scaled=" * scale[i]")
    if model.stack:
        yield layer(model, small)


def _activations(model: Network) -> set[str]:
    code = c_code.STEPS[type(model.stack.cell)](model.stack.cell) if model.stack else ""
    return {name for name in c_code.ACTIVATIONS if f"NAME_{name}(" in code}


def _results(model: Network) -> str:
    F, lines = width(model), []
    for i, part in enumerate(summary_parts(model.summary)):
        last = "state->balance" if model.rate is not None else f"state->hidden[{model.config.num_layers - 1}]"
        value = {"last": f"{last}[i]", "max": "state->max[i]"}.get(
            part, "state->count ? state->sum[i] / (float)state->count : 0.0f"
        )
        lines.append(f"    for (int i = 0; i < {F}; i++)\n        vector[{i * F} + i] = {value};")
    code = "\nvoid NAME_vector(const NAME_state *state, float vector[NAME_VECTOR])\n{\n" + "\n".join(lines) + "\n}\n"
    if model.config.has_head:
        code += """
void NAME_scores(const NAME_state *state, float scores[NAME_OUTPUTS])
{
    float vector[NAME_VECTOR];
    NAME_vector(state, vector);
    NAME_product(scores, NAME_head_weight, NAME_head_bias, NAME_OUTPUTS, NAME_VECTOR, NAME_OUTPUTS, vector);
}
"""
    if model.config.aim.activation == "sigmoid":
        code += """
void NAME_probabilities(const NAME_state *state, float probabilities[NAME_OUTPUTS])
{
    NAME_scores(state, probabilities);
    for (int i = 0; i < NAME_OUTPUTS; i++)
        probabilities[i] = NAME_sigmoid(probabilities[i]);
}
"""
    if model.config.aim.activation == "softmax":
        code += """
void NAME_probabilities(const NAME_state *state, float probabilities[NAME_OUTPUTS])
{
    float largest, sum = 0.0f;
    NAME_scores(state, probabilities);
    largest = probabilities[0];
    for (int i = 1; i < NAME_OUTPUTS; i++)
        largest = probabilities[i] > largest ? probabilities[i] : largest;
    for (int i = 0; i < NAME_OUTPUTS; i++)
        sum += probabilities[i] = NAME_exp(probabilities[i] - largest);
    for (int i = 0; i < NAME_OUTPUTS; i++)
        probabilities[i] /= sum;
}
"""
    return code


def _program(model: Network) -> str:
    texts = isinstance(model, TextModel)
    results = ""
    for function, wanted in (
        ("scores", model.config.has_head),
        ("probabilities", model.config.aim.has_probabilities),
    ):
        if wanted:
            results += f"    float {function}[NAME_OUTPUTS];\n"
    for function in ("scores", "probabilities"):
        if f" {function}[" in results:
            results += f"    NAME_{function}(state, {function});\n    NAME_print({function}, NAME_OUTPUTS);\n"
    if texts:
        parse = (
            "        const long word = strtol(rest, &end, 10);\n"
            "        whole = end != rest;\n"
            f"{_CHECK.format('the number of a word')}        wrong |= NAME_step(&state, (int32_t)word);\n"
        )
        return c_code.PROGRAM.substitute(
            results=results, longest=64, blank="", given="(int32_t)(t % NAME_WORDS)", parse=parse
        )
    parse = (
        "        for (int i = 0; i < NAME_INPUTS; i++, rest = end) {\n"
        "            numbers[i] = (float)strtod(rest, &end);\n"
        "            whole = whole && end != rest;\n"
        "        }\n"
        f"{_CHECK.format(f'{inputs(model)} numbers')}        wrong |= NAME_step(&state, numbers);\n"
    )
    blank = "        for (int i = 0; i < NAME_INPUTS; i++)\n            numbers[i] = 0.0f;\n"
    code = c_code.PROGRAM.substitute(
        results=results, longest=64 + 24 * inputs(model), blank=blank, given="numbers", parse=parse
    )
    return code.replace("    int wrong = 0,", "    float numbers[NAME_INPUTS];\n    int wrong = 0,")
