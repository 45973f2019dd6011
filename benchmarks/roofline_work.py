"""What a text costs a BERT: the operations of its products and of what is between them, and the bytes of its weights."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit_converters.networks.bert import BertConfig

SOFTMAX, GELU, NORM, RESIDUAL, QUANTIZE, DEQUANTIZE = 6, 5, 6, 1, 4, 3
"""Operations an element, an exponential or erf counted as one.

Of a score: mask, maximum, difference, exponential, sum, quotient. Of a neuron: two products, erf, sum, product. Of a
normed value: mean, difference, square, mean of these, two products. Quantizing a product's input: minimum, maximum,
product, rounding; back: two products, the bias.
"""

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Linear:
    """Linear layers: ``rows`` vectors of width ``inputs`` become vectors of width ``outputs``."""

    rows: int
    inputs: int
    outputs: int


@dataclass(frozen=True)
class Work:
    """What one text of a length asks for.

    Attributes:
        length: Tokens, padding included.
        int8_ops: Twice the multiplications of the linear layers.
        attention_ops: The same of attention's two products, in float32.
        other_ops: Softmax, GELU, layer norms, residuals, and quantizing what enters a linear layer and back.
        weight_bytes: Int8 weights of the linear layers, with a float32 scale and bias an output, and the norms' weights.
        table_bytes: Rows of the word table, in int8 with a float32 scale, and of the position table, in float32.
    """

    length: int
    int8_ops: int
    attention_ops: int
    other_ops: int
    weight_bytes: int
    table_bytes: int

    @property
    def bytes(self) -> int:
        """All bytes of weights that the text touches."""
        return self.weight_bytes + self.table_bytes

    @property
    def intensity(self) -> float:
        """Int8 operations a byte."""
        return self.int8_ops / self.bytes


def work_of(config: BertConfig, length: int) -> Work:
    """Counts what ``networks.bert.Bert`` computes: the last layer has one row but for its keys and values."""
    hidden, width = config.hidden, config.embedding or config.hidden
    linears = list(linears_of(config, length))
    attention = other = 0
    for layer in range(config.layers):
        rows = 1 if layer == config.layers - 1 else length
        heads = config.heads_of(layer)
        attention += 2 * 2 * heads * rows * length * config.head_width
        other += SOFTMAX * heads * rows * length + GELU * rows * config.neurons_of(layer)
        other += 2 * (NORM + RESIDUAL) * rows * hidden
    other += (NORM + RESIDUAL) * length * width  # the residual stands for adding the positions
    other += sum(each.rows * (QUANTIZE * each.inputs + DEQUANTIZE * each.outputs) for each in linears)
    return Work(
        length=length,
        int8_ops=sum(2 * each.rows * each.inputs * each.outputs for each in linears),
        attention_ops=attention,
        other_ops=other,
        weight_bytes=sum(each.inputs * each.outputs + 2 * FLOAT_BYTES * each.outputs for each in linears)
        + FLOAT_BYTES * (width + 2 * config.layers * hidden),
        table_bytes=length * (width + FLOAT_BYTES + FLOAT_BYTES * width),
    )


def linears_of(config: BertConfig, length: int) -> tuple[Linear, ...]:
    """The linear layers in their order, with the rows that each has for a text of that length."""
    hidden = config.hidden
    found = [] if config.embedding is None else [Linear(length, config.embedding, hidden)]
    for layer in range(config.layers):
        rows = 1 if layer == config.layers - 1 else length
        inner, neurons = config.heads_of(layer) * config.head_width, config.neurons_of(layer)
        found += [
            Linear(rows, hidden, inner),
            Linear(length, hidden, 2 * inner),
            Linear(rows, inner, hidden),
            Linear(rows, hidden, neurons),
            Linear(rows, neurons, hidden),
        ]
    for each in config.head_layers:
        found.append(Linear(1, hidden, each.width))
        hidden = each.width
    return (*found, Linear(1, hidden, config.classes))
