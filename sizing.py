#!/usr/bin/env python3
"""Dimensiona servidores NVIDIA para servir um LLM: quantos nós, por quê, a que velocidade.

    python3 sizing.py --model opt-oss-120b --server dgx300 --concurrency 1000

Fórmulas (n tokens, b bytes por elemento):

    KV de uma sessão  Σ grupos: camadas · 2 · kv_heads · head_dim · min(n, janela) · b
    orçamento de KV   total_hbm_gb · 10⁹ · kv_budget_ratio − runtime_overhead_gib · 2³⁰
    sessões por nó    S = ⌊orçamento / KV de uma sessão⌋, até o teto físico e os objetivos
    nós               ⌈concurrency · (1 + headroom) / S⌉ + reserva de HA
    TPOT              pesos + especialistas + KV + comunicação + partida + prefill dos outros
    TTFT              81 ms + prefill de um prompt sozinho + partida + TPOT / 2

Contas com piso ou teto são exatas: nenhum arredondamento compra ou deixa de comprar um servidor.

>>> hybrid = (KINDS["full"](18, 8, 64, 64), KINDS["sliding"](18, 8, 64, 64, 128))
>>> session_kv_bytes(hybrid, 131072, "fp8")
2418278400
>>> nodes_for(1500, Fraction("0.1"), sessions_per_unit=275)
6

Cada seção usa o que está acima dela (`size` também as recusas e os avisos, logo abaixo). Do
catálogo carregado ao texto impresso só há funções puras.
"""
from __future__ import annotations

if __name__ == "__main__":
    import gc

    gc.disable()  # procurar lixo custaria 3% de uma execução curta e sem ciclos

import argparse
import codecs
import json
import os
import re
import sys
from dataclasses import MISSING, FrozenInstanceError, dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from itertools import chain, product

TYPE_CHECKING = False  # importar typing custaria 5% da partida; o mypy reconhece este nome
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Iterator, Sequence, TypeVar

    R = TypeVar("R", bound="Record")
    Exact = int | Fraction
    Json = dict[str, Any]
    Flags = dict[str, str]  # o texto de cada flag dada
    # Como fazer o documento e o texto (None: o do JSON): só se faz o que se escreve.
    Answer = tuple[Callable[[], Any], Callable[[], str] | None]
    Path = tuple[str | int, ...]
    Rule = tuple[Callable[[Any], Any], str]
    Problem = tuple[Path, Any, str]  # (caminho no documento, valor, esperado)
    Option = tuple[str, Any]  # (texto, a pergunta; falso se não faz sentido)
    # De uma camada: (grupos de cache, parâmetros, os que todo rank repete).
    Layer = tuple[list[Json], int, int]
    Outcome = tuple[Any, Any, str]  # (pergunta, resultado ou erro, cenário)

__version__ = "1.0"

# ── Unidades e constantes

GB, GIB, TIB = 10**9, 2**30, 2**40  # GB dos fabricantes; GiB dos drivers e dos motores

KV_PRECISIONS = {"fp8": 1, "fp16": 2, "bf16": 2, "int8": 1}  # bytes por elemento
HA_SPARES = {"none": 0, "n+1": 1, "n+2": 2}
# Bits por parâmetro, com as escalas: (especialistas, ou camadas lineares de um denso; o resto).
WEIGHT_BITS: dict[str, tuple[Exact, Exact]] = {
    "bf16": (16, 16), "fp16": (16, 16), "fp8": (8, 8), "int8": (8, 8),
    "mxfp4": (Fraction(17, 4), 16), "nvfp4": (Fraction(9, 2), 16), "int4": (Fraction(33, 8), 16)}

# Convenção de planejamento: 70% da HBM para KV, menos 15 GiB por GPU (120 num nó de 8) para pesos,
# ativações e contexto CUDA.
DEFAULT_KV_BUDGET_RATIO, DEFAULT_PEAK_HEADROOM_RATIO = Fraction(7, 10), Fraction(2, 10)
DEFAULT_OVERHEAD_GIB_PER_GPU = 15
DEFAULT_GPU_MEMORY_UTILIZATION = Fraction(9, 10)  # o padrão do vLLM
DEFAULT_OUTPUT_TOKENS = TURN_TOKENS = 1024
DEFAULT_MAX_NUM_SEQS, DEFAULT_MAX_NUM_BATCHED_TOKENS = 1024, 8192
DEFAULT_PUE = Fraction(13, 10)

# O que o motor ocupa em cada GPU além de pesos e KV, ajustado a 34 registros; erro no README.
ENGINE = "vLLM >= 0.21"
SAMPLER_BYTES = (366 * 4, 100)  # 3.66 cópias fp32 de [max_num_seqs, vocab]
NON_TORCH_BYTES, NON_TORCH_PARALLEL_BYTES = GIB // 4, GIB  # contexto CUDA; com NCCL
CUBLAS_BYTES = GIB // 32
ENCODER_BYTES = GIB * 15 // 100  # imagens de teste de um modelo multimodal
INDEXER_BYTES = 2 * GIB  # área de trabalho da atenção esparsa (DSA)
GRAPH_BYTES = (GIB * 35 // 100, GIB * 175 // 10000, GIB * 45 // 1000)  # base; camada densa; MoE
PAGE_TOKENS = 16
MAX_NODES_PER_REPLICA = 8

# Velocidade: a parte do pico que um motor alcança (MBU da banda da HBM, MFU dos TFLOPS densos) e os
# custos fixos, ajustados com metade de umas 2300 medidas públicas (InferenceX e TensorRT-LLM, pelo
# aiconfigurator da NVIDIA) e conferidos na outra; erro no README.
WEIGHTS_MBU, EXPERTS_MBU, KV_MBU = 0.90, 0.70, 0.79
DECODE_MFU, DECODE_EXPERTS_MFU = 0.86, 0.10  # poucas linhas em cada especialista
PREFILL_MFU, PREFILL_EXPERTS_MFU = {"bf16": 0.71, "fp8": 0.62, "fp4": 0.36}, 0.19
ATTENTION_MFU = 0.60  # do pico bf16, nos pares consulta-chave
LAYER_SECONDS = 53e-6  # por camada e passo: partida dos kernels, normas
MOE_LAYER_SECONDS = 17e-6  # a mais numa camada MoE
INDEXER_LAYER_SECONDS = 105e-6  # a mais numa camada DSA; de 10 medidas do GLM-5 em B200 (SGLang)
ALL_REDUCE_SECONDS = 6e-6  # latência; são dois por camada
DECODE_LINK_RATIO, PREFILL_LINK_RATIO = 0.38, 0.53  # da banda do enlace, num sentido
PREFILL_LAYER_SECONDS = 163e-6  # por camada de um prompt sozinho
FIRST_TOKEN_SECONDS = 0.081  # servidor, tokenizador e fila do escalonador no TTFT
# Medido / previsto em 80% das medidas.
TPOT_RANGE, TPOT_MOE_RANGE, TPOT_CALIBRATED_RANGE = (0.88, 1.20), (0.76, 1.39), (0.86, 1.14)
TTFT_RANGE, THROUGHPUT_RANGE = (0.6, 5.3), (0.76, 1.19)
MXFP4_BIAS = 0.8  # gpt-oss em B200 é 20% mais rápido que o previsto (140 medidas)
MEASURED_GPUS = {"H100", "H200", "B200", "B300", "GB200"}
MEASURED_CONTEXT = 32768  # acima disto só há tabelas interpoladas
QUEUE_RATIO = 0.70  # do tempo em prefill: daí em diante os pedidos esperam em fila

# Tempos medidos por Run:ai, InstantTensor, ServerlessLLM e ModelExpress.
LOADER_GBPS = 3  # o carregador safetensors faz de 1 a 4 por nó, por mais rápido que seja o disco
ENGINE_START_SECONDS = 90  # de 15 num modelo denso pequeno a 400 num MoE sem kernels em cache
RACK_UNITS, RACK_KW = 42, 45
HOURS_PER_YEAR = 8760

USUAL_CONTEXTS = tuple(1024 * 2**n for n in range(2, 11))  # da tabela da pergunta invertida
IDEAL_HEADROOM_RATIO, IDEAL_KV_BUDGET_RATIO = Fraction(30, 100), Fraction(65, 100)
# Limites dos avisos.
HIGH_KV_BUDGET_RATIO, TIGHT_LAST_NODE_RATIO = Fraction(75, 100), Fraction(1, 10)
IDLE_CEILING_RATIO, HEAVY_PREFILL_RATIO = Fraction(1, 3), 0.5
SLOW_TOKENS_PER_SECOND = 10
FAR_CALIBRATION, ABSURD_CALIBRATION = 2, 100  # medido / previsto que avisa, que é recusado

LIMITS = {"plan": "plano", "engine_memory": "memória do motor", "tpot": "TPOT", "ttft": "TTFT"}
WIDTH, MAX_LINES = 80, 24  # do relatório
GLUE = "\x00"  # um espaço em que a linha não se parte
MAX_DIGITS = 30  # de um número, e o maior expoente: a conta não explode
MAX_FILE_BYTES = 64 * 2**20


# ── Erros

ABSENT: Any = object()  # distingue "sem valor" de null


class SizingError(Exception):
    """Pergunta ou catálogo errado (`status` 2) ou pergunta correta sem resposta (`status` 3).

    `where` é a flag ou o arquivo; `path` e `line`, o lugar no documento; `value`, o que foi lido.
    """

    # De uma recusa de status 3: a pergunta e as opções com que caberia.
    question: Any = None
    lead = ""
    options: Callable[[], Sequence[Option]] = tuple

    def __init__(self, where: str, expected: str, *, value: Any = ABSENT, path: Path = (),
                 line: int | None = None, status: int = 2) -> None:
        self.where, self.expected, self.value = where, expected, value
        self.path, self.line, self.status = path, line, status

    def __str__(self) -> str:
        text = one_line(self.where)
        text += ", linha %d" % self.line if self.line else ""
        text += ", " + path_text(self.path) if self.path else ""
        if self.value is not ABSENT:
            text += (" = " if self.path else " ") + value_text(self.value)
        return "%s: %s" % (text, self.expected)


def one_line(text: str) -> str:
    """Com os caracteres de controle escapados."""
    return text if text.isprintable() else repr(text)[1:-1]


def path_text(path: Path) -> str:
    """("models", 0, "notes") é `models[0].notes`."""
    return "".join("[%d]" % key if isinstance(key, int) else "." + one_line(key)
                   for key in path).lstrip(".")


def value_text(value: Any) -> str:
    """Até 60 caracteres; listas e objetos, só o tipo."""
    if isinstance(value, (dict, list)):
        return "{…}" if isinstance(value, dict) else "[…]"
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=float)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(word: str, known: Sequence[str]) -> str:
    """Sugestão para uma mensagem: ` (talvez 'x')`, ou nada."""
    import difflib  # só quando algo deu errado

    close = [name for name in known if len(word) > 3 and name.startswith(word.lower())]
    close += difflib.get_close_matches(word.lower(), known, 1)
    return " (talvez %r)" % close[0] if close else ""


# ── Números exatos e como se escrevem


def exact_decimal(text: str) -> Fraction | None:
    """O valor exato; None se não é um número ou se passa de `MAX_DIGITS`.

    >>> exact_decimal("0.1"), exact_decimal("1e3"), exact_decimal("1e400"), exact_decimal("nan")
    (Fraction(1, 10), Fraction(1000, 1), None, None)
    """
    if "_" in text:  # compilar uma expressão regular custaria 1% da partida
        text = re.sub("(?<=[0-9])_(?=[0-9])", "", text)
    mantissa, _, exponent = text.lower().partition("e")
    digits = len(mantissa.strip("+-").replace(".", ""))
    if max(digits, len(exponent)) > MAX_DIGITS or set(text) - set("0123456789.eE+-"):
        return None
    try:
        return Fraction(text) if abs(int(exponent or 0)) <= MAX_DIGITS else None
    except ValueError:
        return None


def ceil_div(numerator: Exact, denominator: Exact) -> int:
    """⌈numerator / denominator⌉, exato; o piso é `//`."""
    return -(-numerator // denominator)


def largest(limit: int, accepts: Callable[[int], bool], low: int = 0) -> int:
    """O maior n de `low` a `limit` que `accepts` aceita, por bisseção; `low` vale como aceito.

    >>> largest(100, lambda n: n * n <= 50)
    7
    """
    while low < limit:
        middle = (low + limit + 1) // 2
        low, limit = (middle, limit) if accepts(middle) else (low, middle - 1)
    return low


def decimal_text(value: Exact, places: int) -> str:
    """Até `places` casas decimais, sem zeros à direita.

    >>> decimal_text(Fraction(705, 10), 2), decimal_text(10**30, 0)
    ('70.5', '1000000000000000000000000000000')
    """
    scaled = round(value * 10**places)
    whole, rest = divmod(abs(scaled), 10**places)
    text = "%s%d.%0*d" % ("-" if scaled < 0 else "", whole, places, rest)
    return text.rstrip("0").rstrip(".")


def number_text(value: Exact | float, digits: int = 3) -> str:
    """Com `digits` algarismos significativos, sem expoente.

    >>> number_text(0.12345), number_text(78.9), number_text(1234), number_text(1234, 2)
    ('0.123', '78.9', '1230', '1200')
    """
    return decimal_text(Fraction("%.*g" % (digits, float(value))), 33)


def percent_text(ratio: Exact) -> str:
    return decimal_text(ratio * 100, 2) + "%"


def money_text(value: Exact | float) -> str:
    """Centavos só abaixo de 1000."""
    return decimal_text(Fraction(value), 0 if value >= 1000 else 2 if value >= 1 else 4)


def size_text(size_bytes: Exact) -> str:
    """Um tamanho com 5 algarismos, abaixo de 1024 na sua unidade binária."""
    value, units = float(size_bytes), ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while abs(value) >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return "%.5g %s" % (value, units[0])


def seconds_text(seconds: float) -> str:
    """Uma duração na unidade em que não passa de 120.

    >>> seconds_text(0.0123), seconds_text(111.73), seconds_text(200), seconds_text(9000)
    ('0.0123 s', '112 s', '3.33 min', '2.5 h')
    """
    size, unit = (1, "s") if seconds <= 120 else (60, "min") if seconds <= 7200 else (3600, "h")
    return "%s %s" % (number_text(seconds / size), unit)


def plural(count: int, one: str, many: str = "") -> str:
    """`1 nó`, `2 nós`; sem `many`, acrescenta um s."""
    return "%d %s" % (count, one if count == 1 else many or one + "s")


def sessions_text(count: int) -> str:
    return plural(count, "sessão", "sessões")


def rounded(value: Exact | float) -> float:
    """Nove algarismos significativos."""
    return float("%.9g" % value)


def gib(size_bytes: Exact) -> float:
    return rounded(size_bytes / GIB)


def json_number(value: Any) -> Any:
    """Uma fração como o JSON a leva, inteiro ou float; o resto fica como está."""
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else rounded(value)
    return value


def numbers(block: Json) -> Json:
    return {name: json_number(value) for name, value in block.items()}


def folded(text: str, indent: int = 0, width: int = WIDTH) -> list[str]:
    """Linhas de até `width` colunas, as seguintes recuadas."""
    lines = [""]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append(" " * indent)
        lines[-1] += word
        while len(lines[-1]) > width:  # uma palavra maior que a linha
            lines[-1:] = [lines[-1][:width], " " * indent + lines[-1][width:]]
        lines[-1] += " "
    return [line.replace(GLUE, " ") for line in map(str.rstrip, lines) if line]


def replace(record: R, **changes: Any) -> R:
    """Uma cópia com outros campos; os valores em cache ficam na original."""
    fields = record.__dataclass_fields__
    kept = {name: value for name, value in vars(record).items() if name in fields}
    return type(record)(**dict(kept, **changes))


class Record:
    """Base das dataclasses: imutáveis, montadas por nome e comparadas por identidade.

    `frozen=True` e o construtor gerado em cada uma custariam 7% da partida.
    """

    __dataclass_fields__: Json

    def __init_subclass__(cls) -> None:
        dataclass(eq=False, repr=False, init=False)(cls)

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    def __setattr__(self, name: str, value: Any = None) -> None:
        raise FrozenInstanceError(name)

    __delattr__ = __setattr__

    @cached_property
    def document(self) -> Json:
        return numbers({name: getattr(self, name) for name in self.__dataclass_fields__})


# ── Cache KV: grupos de camadas


class Group(Record):
    """Camadas que guardam o cache do mesmo jeito: um token em cada `stride`, até `cap_tokens`.

    `bytes_per_token` tem precisão própria; `fixed_bytes` é por sessão. O tensor parallel divide o
    cache em até `shards` GPUs. Cada consulta lê até `read_tokens` (None: todos os guardados) e
    multiplica `pair_dims` números por chave e cabeça.
    """

    kind: str
    layers: int
    elements_per_token: int = 0
    bytes_per_token: int = 0
    fixed_bytes: int = 0
    cap_tokens: int | None = None
    stride: int = 1
    shards: int = 1
    pair_dims: int = 0
    read_tokens: int | None = None

    def session_bytes(self, context: int, element_bytes: int, page_tokens: int = 1) -> int:
        """Bytes de uma sessão, em páginas de `page_tokens` tokens."""
        held = min(context, self.cap_tokens or context) // self.stride
        held = ceil_div(held, page_tokens) * page_tokens
        per_token = self.elements_per_token * element_bytes + self.bytes_per_token
        return self.layers * (held * per_token + self.fixed_bytes)

    def read_bytes(self, context: int, element_bytes: int) -> int:
        """Bytes de um passo de decode de uma sessão; o estado fixo é lido e escrito."""
        read = min(context, self.read_tokens or context)
        return self.session_bytes(read, element_bytes) + self.layers * self.fixed_bytes

    def pairs(self, new_tokens: int, cached_tokens: int) -> float:
        """Pares consulta-chave numa camada: T²/2 + T · cache; numa janela W cheia, T · W.

        >>> KINDS["sliding"](1, 8, 64, 64, 128).pairs(1000, 0) == 1000 * 128 - 128**2 / 2
        True
        """
        cap = self.cap_tokens or self.read_tokens

        def until(end: int) -> float:
            if cap is None or end <= cap:
                return end * end / 2
            if self.kind == "chunked":
                return (end // cap * cap**2 + (end % cap)**2) / 2
            return cap * (end - cap / 2)

        return (until(cached_tokens + new_tokens) - until(cached_tokens)) / self.stride


def heads_shape(kv_heads: int, k_dim: int, v_dim: int, cap_tokens: int | None = None) -> Json:
    """K e V de cada cabeça; `v_dim` 0: V é o próprio K."""
    return {"elements_per_token": kv_heads * (k_dim + v_dim), "cap_tokens": cap_tokens,
            "shards": kv_heads, "pair_dims": k_dim + (v_dim or k_dim)}


def indexer_shape(dim: int, stride: int = 1) -> Json:
    """O indexador da DSA: chave fp8 e uma escala fp32 por bloco de 128."""
    return {"bytes_per_token": dim + 4 * ceil_div(dim, 128), "stride": stride, "pair_dims": dim}


# Tipo → campos do grupo; os argumentos são os campos de `models.json`.
SHAPES: Json = {
    "full": lambda kv_heads, k_dim, v_dim: heads_shape(kv_heads, k_dim, v_dim),
    "sliding": lambda kv_heads, k_dim, v_dim, window: heads_shape(kv_heads, k_dim, v_dim, window),
    # Por blocos (Llama 4): no máximo um bloco de `chunk` tokens.
    "chunked": lambda kv_heads, k_dim, v_dim, chunk: heads_shape(kv_heads, k_dim, v_dim, chunk),
    # MLA (DeepSeek): um vetor latente por token, sem fator 2.
    "mla": lambda kv_lora_rank, qk_rope_head_dim: {
        "elements_per_token": kv_lora_rank + qk_rope_head_dim,
        "pair_dims": 2 * kv_lora_rank + qk_rope_head_dim},
    "indexer": lambda index_head_dim: indexer_shape(index_head_dim),
    # DeepSeek V4: um vetor K = V a cada `ratio` tokens, sobre as camadas de janela.
    "compressed": lambda dim, ratio: {
        "elements_per_token": dim, "stride": ratio, "pair_dims": 2 * dim},
    "compressed_indexer": lambda index_head_dim, ratio: indexer_shape(index_head_dim, ratio),
    # Mamba2, gated delta net, KDA: estado fixo (convolução e recorrência).
    "linear": lambda state_bytes, heads: {"fixed_bytes": state_bytes, "shards": heads},
    # Só FFN, ou com o KV de outra camada.
    "none": lambda: {"shards": 1}}
RIDERS = ("indexer", "compressed", "compressed_indexer")  # somam-se a camadas já contadas
LATENT = ("mla", "compressed")  # um vetor para todas as cabeças, inteiro em cada GPU do tp


def group_of(kind: str, layers: int, *shape: int, **named: int) -> Group:
    return Group(kind=kind, layers=layers, **SHAPES[kind](*shape, **named))


KINDS = {kind: partial(group_of, kind) for kind in SHAPES}


def session_kv_bytes(groups: Sequence[Group], context: int, kv_precision: str) -> int:
    """A conta do `kv_cache_interface.py` do vLLM, sem o arredondamento a páginas.

    >>> session_kv_bytes([KINDS["sliding"](36, 8, 64, 64, 128)], 64, "fp16")
    4718592
    """
    return sum(group.session_bytes(context, KV_PRECISIONS[kv_precision]) for group in groups)


# ── Catálogos

NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/+-")

FEW = (lambda v: type(v) is int and 0 < v <= 4096, "um inteiro positivo até 4096")
COUNT = (lambda v: type(v) is int and v > 0, "um inteiro positivo")
QUANTITY = (lambda v: type(v) in (int, Fraction) and v > 0, "um número positivo")
FLAG = (lambda v: type(v) is bool, "true ou false")
GROUPS = (lambda v: isinstance(v, list) and v and all(isinstance(g, dict) for g in v),
          "uma lista de grupos de camadas")
NAME = (lambda v: isinstance(v, str) and 0 < len(v) <= 80 and NAME_CHARACTERS.issuperset(v),
        "um nome de até 80 letras, dígitos, '.', '_', '/', '+' e '-'")
NAMES = (lambda v: isinstance(v, list) and all(map(NAME[0], v)), "uma lista de nomes")
LINE = (lambda v: isinstance(v, str) and v.strip() and v.isprintable(),
        "um texto de uma linha, não vazio")
TEXT = (lambda v: v and all(isinstance(t, str) and t.strip()
                            for t in (v if isinstance(v, list) else [v])),
        "um texto não vazio ou uma lista deles")
# A regra de um campo, pelo tipo, se ele não tem outra em `checked`.
TYPE_RULES: dict[str, Rule] = {
    "int": COUNT, "Exact": QUANTITY, "bool": FLAG, "str": NAME, "Any": TEXT,
    "tuple[str, ...]": NAMES, "tuple[Json, ...]": GROUPS}


def one_of(*choices: str) -> Rule:
    return lambda v: isinstance(v, str) and v in choices, "um destes: " + ", ".join(choices)


def or_null(rule: Rule) -> Rule:
    return lambda v: v is None or rule[0](v), rule[1] + " ou null"


def checked(rule: Rule, default: Any = MISSING) -> Any:
    return field(default=default, metadata={"rule": rule})


class Entry(Record):
    """Entrada de um catálogo: cada campo leva em `metadata` a regra que o verifica."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for spec in cls.__dataclass_fields__.values():
            kind, _, null = spec.type.partition(" | ")
            rule = spec.metadata.get("rule") or TYPE_RULES[kind]
            spec.metadata = {"rule": or_null(rule) if null and spec.default is MISSING else rule}


# attention_pattern → os campos que ele pede; os outros destes têm de ser null.
PATTERNS = {
    "full": (), "sliding": ("sliding_window",),
    "hybrid": ("sliding_window", "hybrid_full_layers", "hybrid_sliding_layers"),
    "groups": ("groups",)}


class Model(Entry):
    """Um LLM: o que decide o tamanho do cache KV e dos pesos (nomes do Hugging Face).

    Dos bytes que um motor carrega, `weights_expert_bytes` são dos especialistas roteados e
    `weights_dense_bytes`, do resto, incluindo `weights_replicated_bytes`, que cada GPU repete.
    `params_embedding`: os que ficam em 16 bits (embeddings, cabeça, torre de visão).
    """

    name: str
    num_layers: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    attention_pattern: str = checked(one_of(*PATTERNS))
    default_kv_precision: str = checked(one_of(*KV_PRECISIONS))
    notes: Any
    source: Any
    hybrid_full_layers: int | None = None
    hybrid_sliding_layers: int | None = None
    sliding_window: int | None = None
    groups: tuple[Json, ...] | None = None
    aliases: tuple[str, ...] = ()
    hf_id: str | None = None
    vocab_size: int | None = None
    hidden_size: int | None = None
    num_attention_heads: int | None = None
    intermediate_size: int | None = None
    moe_layers: int | None = None
    num_experts: int | None = None
    experts_per_token: int | None = None
    moe_intermediate_size: int | None = None
    qk_nope_head_dim: int | None = None
    v_head_dim: int | None = None
    index_n_heads: int | None = None
    index_topk: int | None = None
    params_total: int | None = None
    params_active: int | None = None
    params_experts: int | None = None
    params_embedding: int | None = None
    native_precision: str | None = checked(one_of(*WEIGHT_BITS), None)
    checkpoint_bytes: int | None = None
    weights_dense_bytes: int | None = None
    weights_expert_bytes: int | None = None
    weights_replicated_bytes: int | None = None
    multimodal: bool = False
    launch_args: str | None = checked(LINE, None)

    @cached_property
    def layer_groups(self) -> tuple[Group, ...]:
        if self.groups is None:
            layers, window = self.num_layers, self.sliding_window or 0
            shape = self.num_key_value_heads, self.head_dim, self.head_dim
            pair = (group_of("full", self.hybrid_full_layers or layers, *shape),
                    group_of("sliding", self.hybrid_sliding_layers or layers, *shape, window))
            return tuple(g for g in pair if self.attention_pattern in (g.kind, "hybrid"))
        listed = [group_of(**group) for group in self.groups]
        # A atenção esparsa só lê os `index_topk` tokens que o indexador escolhe.
        indexed = {group.stride for group in listed if "indexer" in group.kind}
        return tuple(replace(g, read_tokens=(self.index_topk or 0) * g.stride or None)
                     if g.kind in LATENT and g.stride in indexed else g for g in listed)

    @cached_property
    def document(self) -> Json:
        known, experts = self.weights_dense_bytes, self.weights_expert_bytes or 0
        weights = {"weights_gib": gib(known + experts)} if known else {}
        groups = [group.document for group in self.layer_groups]
        return dict(super().document, kv_groups=groups, **weights)

    @cached_property
    def latent(self) -> bool:
        return any(group.kind in LATENT for group in self.layer_groups)

    @cached_property
    def indexer_layers(self) -> int:
        return sum(group.layers for group in self.layer_groups if "indexer" in group.kind)

    @cached_property
    def sublayers(self) -> int:
        """Atenções mais FFNs."""
        alone = sum(group.layers for group in self.layer_groups if group.kind == "none")
        if alone == self.moe_layers:  # Nemotron-H: as outras só têm atenção
            return self.num_layers
        return 2 * self.num_layers - alone

    def attention_flops(self, new: int, cached: int) -> float:
        """FLOPs dos pares consulta-chave e dos estados lineares no prefill de `new` tokens.

        MLA na forma expandida; com DSA, na absorvida, só com os `index_topk` tokens escolhidos.
        """
        total = 0.0
        for group in self.layer_groups:
            heads, dims = float(self.num_attention_heads or 0), group.pair_dims
            if "indexer" in group.kind:
                heads = (self.index_n_heads or 0) / 2  # em fp8: conta por metade
            elif group.kind == "mla" and group.read_tokens is None:
                rope = 2 * group.elements_per_token - group.pair_dims
                dims = (self.qk_nope_head_dim or 0) + rope + (self.v_head_dim or 0)
            pairs = heads * dims * group.pairs(new, cached)
            total += 2 * group.layers * (pairs + group.fixed_bytes * new)
        return total

    def inconsistencies(self) -> Iterator[Problem]:
        pattern, needed = self.attention_pattern, PATTERNS[self.attention_pattern]
        for name in (*PATTERNS["hybrid"], "groups"):
            value, rule = getattr(self, name), GROUPS if name == "groups" else COUNT
            if (value is None) == (name in needed):
                yield ((name,), value, "espera-se %s com attention_pattern %r"
                       % (rule[1] if name in needed else "null", pattern))
        layers = (self.hybrid_full_layers or 0) + (self.hybrid_sliding_layers or 0)
        if pattern == "hybrid" and layers != self.num_layers:
            yield (("hybrid_sliding_layers",), self.hybrid_sliding_layers,
                   "hybrid_full_layers + hybrid_sliding_layers dá %d, espera-se num_layers %d"
                   % (layers, self.num_layers))
        for small, large in (
                ("experts_per_token", "num_experts"), ("params_active", "params_total"),
                ("params_experts", "params_total"), ("params_embedding", "params_total"),
                ("moe_layers", "num_layers"), ("num_key_value_heads", "num_attention_heads")):
            value, limit = getattr(self, small), getattr(self, large)
            if value and limit and value > limit:
                yield (small,), value, "espera-se até %s, %d" % (large, limit)
        if self.experts_per_token and not self.num_experts:
            yield ("num_experts",), None, "espera-se um inteiro positivo com experts_per_token"
        total = self.params_total or 0
        if 0 < total < (self.params_experts or 0) + (self.params_embedding or 0):
            yield (("params_embedding",), self.params_embedding,
                   "com params_experts passa de params_total, %d" % total)
        yield from group_problems(self.groups or (), self.num_layers)


def group_problems(groups: Sequence[Json], num_layers: int) -> list[Problem]:
    """Os grupos malformados ou, se não há nenhum, a soma que não dá as camadas do modelo."""
    problems: list[Problem] = []
    for index, group in enumerate(groups):
        kind, wrong = group.get("kind"), ["kind"]
        expected = "espera-se um destes: " + ", ".join(KINDS)
        if kind in list(KINDS):
            code = SHAPES[kind].__code__
            names = ("layers", *code.co_varnames[:code.co_argcount])
            wrong = [key for key in group if key not in ("kind", *names)]
            wrong += [key for key in names
                      if type(group.get(key)) is not int or group[key] < (key != "v_dim")]
            expected = "espera-se só kind e os inteiros positivos " + ", ".join(names)
        problems += [(("groups", index, key), group.get(key), expected) for key in wrong]
    if groups and not problems:
        total = sum(group["layers"] for group in groups if group["kind"] not in RIDERS)
        if all(group["kind"] == "none" for group in groups):
            problems = [(("groups",), ABSENT, "nenhum grupo guarda cache")]
        elif total != num_layers:
            problems = [(("groups",), total,
                         "soma das camadas; espera-se num_layers, %d" % num_layers)]
    return problems


class Server(Entry):
    """Um servidor (nó): HBM do folheto e a que o motor vê; banda e TFLOPS densos por GPU."""

    name: str
    gpus: int = checked(FEW)
    hbm_per_gpu_gb: Exact
    total_hbm_gb: Exact
    notes: Any
    source: Any
    product: str | None = checked(LINE, None)
    gpu: str | None = checked(LINE, None)
    hbm_usable_gib_per_gpu: Exact | None = None
    hbm_bandwidth_tbps: Exact | None = None
    tflops_bf16: Exact | None = None
    tflops_fp8: Exact | None = None
    tflops_fp4: Exact | None = None
    nvlink_bandwidth_tbps: Exact | None = None
    nvlink_domain_gpus: int | None = None
    pcie_bandwidth_gbps: Exact | None = None
    system_memory_tb: Exact | None = None
    power_kw: Exact | None = None
    rack_units: int | None = None
    heat_btu_h: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    aliases: tuple[str, ...] = ()

    @cached_property
    def document(self) -> Json:
        return dict(super().document, total_hbm_gib=gib(self.total_hbm_gb * GB))

    def nvlink_reaches(self, gpus: int) -> bool:
        return bool(self.nvlink_bandwidth_tbps) and gpus <= (self.nvlink_domain_gpus or self.gpus)

    def inconsistencies(self) -> Iterator[Problem]:
        total, usable = self.gpus * self.hbm_per_gpu_gb, self.hbm_usable_gib_per_gpu or 0
        if self.total_hbm_gb != total:
            yield (("total_hbm_gb",), self.total_hbm_gb,
                   "espera-se gpus × hbm_per_gpu_gb = %s GB" % decimal_text(total, 6))
        if usable > self.hbm_per_gpu_gb:
            yield (("hbm_usable_gib_per_gpu",), usable,
                   "espera-se até hbm_per_gpu_gb, %s" % decimal_text(self.hbm_per_gpu_gb, 6))


class Storage(Entry):
    """Um perfil de storage; `throughput_*_gbps` em GB/s; o que não se publica é null."""

    name: str
    type: str = checked(one_of("local", "network", "cloud"))
    iops_read: int | None
    iops_write: int | None
    throughput_read_gbps: Exact
    throughput_write_gbps: Exact | None
    latency_read_ms_p50: Exact | None
    latency_write_ms_p50: Exact | None
    latency_read_ms_p99: Exact | None
    latency_write_ms_p99: Exact | None
    notes: Any
    source: Any
    scope: str | None = checked(one_of("node", "shared"), None)
    aliases: tuple[str, ...] = ()

    @property
    def shared(self) -> bool:
        """Os nós dividem o throughput."""
        return (self.scope or self.type) not in ("node", "local")

    def inconsistencies(self) -> Iterator[Problem]:
        for name in ("latency_read_ms_p", "latency_write_ms_p"):
            p50, p99 = getattr(self, name + "50"), getattr(self, name + "99")
            if p50 and p99 and p99 < p50:
                text = decimal_text(p50, 6)
                yield (name + "99",), p99, "espera-se ao menos a P50, %s ms" % text


# Catálogo → (classe das entradas, chave da lista no documento, singular).
CATALOGUES = {
    "models": (Model, "models", "modelo"), "servers": (Server, "servers", "servidor"),
    "storage": (Storage, "profiles", "perfil de storage")}


def load_catalogue(kind: str, file: str, data: bytes) -> tuple[list[Any], list[SizingError]]:
    """As entradas boas de um catálogo e os problemas, na ordem das linhas."""
    try:
        document, text, repeats = parse_json(file, data)
    except SizingError as error:
        return [], [error]
    entries, problems = check_document(kind, document)
    if not (problems or repeats):
        return entries, []
    positions = list(json_positions(text))
    lines = dict(positions)  # a linha de um campo que falta é a da sua entrada
    errors = [SizingError(file, expected, value=value, path=path,
                          line=lines.get(path, lines.get(path[:-1])))
              for path, value, expected in problems]
    first: dict[Path, int] = {}
    repeated = set()
    for path, line in positions:
        if path in first and path[:-1] not in repeated:
            errors.append(SizingError(file, "chave repetida, já usada na linha %d" % first[path],
                                      path=path, line=line))
        if path in first or path[:-1] in repeated:  # o que está dentro não se acusa de novo
            repeated.add(path)
        first.setdefault(path, line)
    return entries, sorted(errors, key=lambda error: error.line or 0)


def parse_json(file: str, data: bytes) -> tuple[Any, str, bool]:
    """(documento, texto, há chave repetida?); levanta `SizingError`.

    Os números são exatos; os fora dos limites viram float, que nenhuma regra aceita.
    """
    repeats: list[Any] = []

    def to_dict(pairs: list[tuple[str, Any]]) -> Json:
        mapping = dict(pairs)
        repeats.extend(pairs[len(mapping):])
        return mapping

    line = None
    try:
        text = data[3 if data.startswith(codecs.BOM_UTF8) else 0:].decode("utf-8")
        document = json.loads(
            text, object_pairs_hook=to_dict, parse_constant=float,
            parse_float=lambda digits: exact_decimal(digits) or float(digits),
            parse_int=lambda digits: (int if len(digits) <= MAX_DIGITS else float)(digits))
        return document, text, bool(repeats)
    except UnicodeDecodeError as error:
        wrong = "espera-se texto UTF-8; byte 0x%02x inválido" % error.object[error.start]
        line = error.object.count(b"\n", 0, error.start) + 1
    except json.JSONDecodeError as error:
        near = text[error.pos:error.pos + 20].split("\n")[0]
        wrong = "JSON inválido na coluna %d, %s" % (
            error.colno, "perto de %r" % near if near else "no fim da linha")
        line = error.lineno
    except RecursionError:
        wrong = "JSON inválido: aninhamento profundo demais"
    raise SizingError(file, wrong, line=line)


def json_positions(text: str) -> Iterator[tuple[Path, int]]:
    """(caminho, linha) de cada valor de um JSON válido, na ordem do texto.

    >>> list(json_positions('{"a": [1,\\n 2]}'))
    [((), 1), (('a',), 1), (('a', 0), 1), (('a', 1), 2)]
    """
    stack: list[Any] = []  # a chave (None: ainda não lida) ou o índice em cada nível aberto
    line, last = 1, 0
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', text):
        token = match.group()
        line, last = line + text.count("\n", last, match.start()), match.start()
        if token in "}]":
            stack.pop()
        elif token == ",":
            stack[-1] = stack[-1] + 1 if isinstance(stack[-1], int) else None
        elif stack and stack[-1] is None:
            stack[-1] = json.loads(token)
        elif token != ":":
            yield tuple(stack), line
            if token in "{[":
                stack.append(None if token == "{" else 0)


def check_document(kind: str, document: Any) -> tuple[list[Any], list[Problem]]:
    cls, root, _ = CATALOGUES[kind]
    if not isinstance(document, dict) or root not in document:
        return [], [((), ABSENT, 'espera-se um objeto {"%s": […]}' % root)]
    problems: list[Problem] = [((key,), ABSENT, "chave desconhecida, espera-se só %r" % root)
                               for key in document if key != root]
    raws = document[root]
    if not isinstance(raws, list) or not raws:
        return [], [*problems, ((root,), raws, "espera-se uma lista com entradas")]
    entries: list[Any] = []
    owners: dict[str, str] = {}
    for index, raw in enumerate(raws):
        entry, found = check_entry(cls, raw)
        problems += [((root, index, *path), value, expected) for path, value, expected in found]
        if not entry:
            continue
        entries.append(entry)
        for name in names_of(entry):
            owner = owners.get(name.lower())
            if owner:
                expected = "nome repetido: %r já é de %s" % (name, owner)
                problems.append(((root, index), ABSENT, expected))
            owners[name.lower()] = path_text((root, index))
    return entries, problems


def names_of(entry: Any) -> tuple[str, ...]:
    return (entry.name, *entry.aliases, *filter(None, [getattr(entry, "hf_id", None)]))


def check_entry(cls: Any, raw: Any) -> tuple[Any, list[Problem]]:
    """A entrada (None se há problemas) e os seus problemas."""
    if not isinstance(raw, dict):
        return None, [((), raw, "espera-se um objeto {…} com os campos da entrada")]
    specs, values = cls.__dataclass_fields__, {}
    unknown: list[Problem] = [((name,), ABSENT, "chave desconhecida" + nearest(name, list(specs)))
                              for name in raw if name not in specs]
    wrong: list[Problem] = []
    for name, spec in specs.items():
        value, (accepts, expected) = raw.get(name, ABSENT), spec.metadata["rule"]
        if value is ABSENT:
            if spec.default is MISSING:
                wrong.append(((), ABSENT, "falta o campo %r: %s" % (name, expected)))
        elif accepts(value):
            values[name] = tuple(value) if isinstance(value, list) else value
        elif value is not None or spec.default is not None:
            wrong.append(((name,), value, "espera-se " + expected))
    entry: Any = cls(**values)
    problems = unknown + (wrong or list(entry.inconsistencies()))
    return None if problems else entry, problems


def find_entry(kind: str, flag: str, name: str, entries: Sequence[Any]) -> Any:
    """A entrada com este nome ou apelido; levanta `SizingError`."""
    by_name = {known.lower(): entry for entry in entries for known in names_of(entry)}
    if name.lower() in by_name:
        return by_name[name.lower()]
    raise SizingError(flag, "%s fora do catálogo%s; --list %s mostra todos" % (
        CATALOGUES[kind][2], nearest(name, list(by_name)), kind), value=name)


# ── config.json do Hugging Face
# Tipos de modelo: traços e, com `=`, o valor de um campo que o config não traz. window: usa
# sliding_window (upper: só nas camadas de cima); gdn: gated delta net; mamba2; chunked: por blocos;
# wide: o especialista mede intermediate_size; mtp: o checkpoint traz camadas MTP (dup: e cópias do
# embedding e da cabeça).
HF_FAMILIES = """
llama yi internlm2 internlm3 exaone seed_oss olmo olmo2 glm glm4 granite smollm3 helium deepseek:
hunyuan_v1_dense nemotron-nas bailing_moe minimax_m2 olmoe granitemoe:
mistral ministral ministral3 phi3 mixtral phimoe starcoder2: window
qwen2 qwen3 qwen2_moe qwen3_moe qwen2_vl_text qwen2_5_vl_text qwen3_vl_text: window upper
qwen3_vl_moe_text dots1 mimo: window upper
mistral ministral ministral3 phi3 gemma3_text cohere2: max_position_embeddings=131072
olmo3 exaone4 cohere2 muse_glimmer_text: sliding_window_pattern=4
gemma2 gpt_oss: sliding_window_pattern=2
gemma3_text: sliding_window_pattern=6 vocab_size=262208 head_dim=256
gemma3_text: num_attention_heads=8 num_key_value_heads=4
gemma gemma2 gemma3_text gemma4_text cohere cohere2: tie_word_embeddings=true
granitemoehybrid starcoder2: tie_word_embeddings=true
qwen3_next qwen3_5_text qwen3_5_moe_text: gdn mtp
qwen3_next: mtp_num_hidden_layers=1
qwen3_next qwen3_5_text qwen3_5_moe_text muse_glimmer_text: attn_output_gate=true
nemotron_h starcoder2 nemotron arcee apertus: ffn_matrices=2
llama4_text: chunked n_shared_experts=1
mixtral phimoe gpt_oss llama4_text minimax_m2 olmoe granitemoe granitemoehybrid: wide
granitemoehybrid nemotron_h: mamba2
deepseek_v2 deepseek_v3 deepseek_v32 kimi_k2 glm4_moe: mtp dup
glm_moe_dsa glm4_moe_lite mistral4 deepseek_v4 nemotron_h mimo: mtp
"""
HF_LAYERS = {name: kind for kind, names in (
    ("full", "full_attention attention *"), ("sliding", "sliding_attention"),
    ("chunked", "chunked_attention"), ("linear", "linear_attention mamba M"), ("moe", "moe E"),
    ("mlp", "mlp -")) for name in names.split()}
# Recusa-se o campo que parece de atenção ou de cache, ninguém leu e não está em HF_INERT.
HF_SUSPECT = ("attn|attention|window|kv_|_kv|lora|ssm|mamba|compress|sparse|latent|stride|share|"
              "cla_|moe|expert|conv_|index")
HF_INERT = ("(bias|dropout|pdrop|softcapping|multipliers?|scal(ar?|e|ing_factor)|tuning|theta|_mod|"
            "_norm|pattern|interval|max_window_layers|chunk_size|expand|hidden_act|kernels|_dtype|"
            "topk(_freq|_offset)?|interleave|renormalize|mtp_iteration|bidirectional_attention|"
            "dual_chunk_attention_config|aux_loss_coef|logits?|output_attentions|in_fp32)$|"
            "implementation|router")
# Papel de um parâmetro → os nomes pelos quais uma lista de exceções da quantização o cita.
HF_ROLES = {"attention": r"self_attn|\.attention|linear_attn|mixer", "dense": "mlp(?!.*expert)",
            "shared": "shared_expert", "experts": r"(?<!shared_)experts"}
# Como a quantização se declara → a precisão.
HF_SCHEMES = {"^mxfp4|MXFP4|float4.g32": "mxfp4", "FP4|float4": "nvfp4",
              "^(fbgemm_)?fp8|FP8|float8": "fp8", "int4|(gptq|awq).*4.g": "int4",
              "int8|(gptq|awq).*8.g": "int8"}
HF_DTYPE = one_of("bfloat16", "float16", "half", "float32", "auto")
HF_INHERITED = ("model_type", "tie_word_embeddings", "quantization_config", "torch_dtype", "dtype")
LIST: Rule = (lambda v: isinstance(v, list), "uma lista")
FACTOR: Rule = (lambda v: type(v) in (int, Fraction) and 0 < v < 10**4, "um número positivo")


class HfConfig:
    """Um objeto de um config.json: toda leitura confere o valor e anota o campo lido.

    Dos nomes que um campo tem em arquiteturas diferentes, vale o primeiro não nulo.
    """

    def __init__(self, file: str, data: Any, path: Path = ()) -> None:
        if not isinstance(data, dict):
            raise SizingError(file, "espera-se um objeto JSON", path=path)
        self.file, self.data, self.path, self.read = file, data, path, {"model_type"}
        self.counts: dict[Any, int] = {}

    def fail(self, name: str, expected: str) -> SizingError:
        return SizingError(self.file, "espera-se " + expected, path=(*self.path, name),
                           value=self.data.get(name, ABSENT))

    def get(self, names: str, rule: Rule, default: Any = ABSENT) -> Any:
        """O valor de um campo, que só com `default` pode faltar."""
        self.read.update(names.split())
        found = [name for name in names.split() if self.data.get(name) is not None]
        name = (found or names.split())[0]
        value = self.data.get(name)
        if value is None and default is not ABSENT:
            return default
        if not rule[0](value):
            raise self.fail(name, rule[1])
        return value

    def count(self, names: str, default: Any = ABSENT, low: int = 1, high: int = 10**8) -> int:
        key = names, default, low
        if key not in self.counts:  # quase todos são lidos em cada camada
            self.counts[key] = self.get(names, (lambda v: type(v) is int and low <= v <= high,
                                                "um inteiro de %d a %d" % (low, high)), default)
        return self.counts[key]

    __getitem__ = count

    def flag(self, name: str) -> bool:
        return bool(self.get(name, FLAG, False))

    def dtype_bits(self, names: str) -> int:
        """Bits de um tipo de dado; sem ele, bf16."""
        rule = lambda v: HF_DTYPE[0](str(v).replace("torch.", "")), HF_DTYPE[1]
        return 32 if self.get(names, rule, "").endswith("float32") else 16

    def child(self, name: str) -> HfConfig:
        """Um objeto aninhado, ou um vazio."""
        value = self.data.get(name)
        return HfConfig(self.file, {} if value is None else value, (*self.path, name))


class HfDecoder(HfConfig):
    """O decodificador de texto, com o que herda da raiz do config e da família."""

    def __init__(self, root: HfConfig) -> None:
        own = next((root.child(key) for key in ("text_config", "llm_config", "language_config")
                    if root.data.get(key)), root)
        data = {key: value for key, value in root.data.items() if key in HF_INHERITED}
        data.update((key, value) for key, value in own.data.items() if value is not None)
        super().__init__(root.file, data, own.path)
        rows = [line.partition(":") for line in HF_FAMILIES.strip().splitlines()]
        traits = [row[2] for row in rows if self.data.get("model_type") in row[0].split()]
        if not traits:
            raise self.fail("model_type",
                            "uma arquitetura conhecida (ou descreva o modelo em models.json)")
        self.traits, self.given = " ".join(traits).split(), list(data)
        for key, _, value in (word.partition("=") for word in self.traits):
            if value and self.data.get(key) is None:
                self.data[key] = json.loads(value)
        self.hidden = self["hidden_size n_embd d_model"]
        self.heads = self["num_attention_heads n_head n_heads"]
        self.experts = self.count("n_routed_experts num_experts num_local_experts moe_num_experts",
                                  0, 0)
        self.expert_width = "intermediate_size" if "wide" in self.traits else (
            "moe_intermediate_size intermediate_size")
        self.count(self.expert_width, 0, 0)
        self.kinds = hf_kinds(self)
        # Desta camada em diante, o KV é de outra (Gemma 3n e 4).
        self.own_kv = len(self.kinds) - self.count("num_kv_shared_layers", 0, 0)

    def check_read(self) -> None:
        """Levanta `SizingError` se não foi lido um campo que parece mudar o cache."""
        for key in self.given:
            value = self.data[key]
            if value and re.search(HF_SUSPECT, key) and not (
                    key in self.read or re.search(HF_INERT, key)):
                raise SizingError(self.file, "campo de atenção ou de cache que não é entendido",
                                  path=(*self.path, key), value=value)

    def block(self, i: int, part: str) -> HfConfig | None:
        """A parte `attention` ou `ffn` da camada, se o config descreve cada uma (Nemotron NAS)."""
        blocks = self.get("block_configs", LIST, [])
        return HfConfig(self.file, blocks[i] if i < len(blocks) else None,
                        (*self.path, "block_configs", i)).child(part) if blocks else None


def hf_kinds(c: HfDecoder) -> list[str]:
    """O tipo de cada camada: pela lista do config, ou pela regra da família."""
    for name in ("layer_types", "layers_block_type", "hybrid_override_pattern"):
        if name in c.data:
            listed = c.data[name]
            size = len(listed) if isinstance(listed, (list, str)) else ABSENT
            total = c.count("num_hidden_layers", size)
            if size != total:
                raise c.fail(name, "uma lista com as %d camadas" % total)
            if any(str(item) not in HF_LAYERS for item in listed):
                raise c.fail(name, "camadas destes tipos: " + ", ".join(HF_LAYERS))
            return [HF_LAYERS[item] for item in listed]
    total = c.count("num_hidden_layers num_layers n_layer", high=4096)
    if "compress_ratios" in c.data:
        ratios = c.get("compress_ratios", LIST)[:total]
        if len(ratios) < total or any(type(n) is not int or n < 0 for n in ratios):
            raise c.fail("compress_ratios", "um inteiro por camada")
        return ["compressed"] * total
    layers, windowed = range(1, total + 1), c.flag("use_sliding_window")
    if "mamba2" in c.traits:
        raise c.fail("layer_types", "uma lista com as %d camadas" % total)
    if "gdn" in c.traits:
        interval = c.count("full_attention_interval", 4)
        return ["linear" if n % interval else "full" for n in layers]
    if "chunked" in c.traits:
        rope = c.get("no_rope_layers", LIST, []) or [n % 4 for n in layers]
        return ["full" if rope[n - 1:n] == [0] else "chunked" for n in layers]
    # A cada `period` camadas uma é completa; depois da camada `lower`, nenhuma.
    period = c.count("_sliding_window_pattern sliding_window_pattern", 0, 0)
    lower = 0 if "window" in c.traits else total
    if "upper" in c.traits:
        upper = c.count("max_window_layers", 0, 0)
        lower = upper if windowed else total
    window = ("window" in c.traits or period) and c.count("sliding_window sliding_window_size", 0)
    return ["sliding" if window and (n > lower or (period and n % period)) else "full"
            for n in layers]


def hf_mixer(c: HfDecoder, kind: str, i: int) -> Layer:
    """A atenção da camada `i`, ou o que está no lugar dela; sem grupos, não guarda cache."""
    if kind in ("moe", "mlp"):
        return [], 0, 0
    if kind == "linear":
        return hf_recurrence(c)
    if kind == "compressed":
        return hf_compressed(c, c.data["compress_ratios"][i])
    if c.count("kv_lora_rank", 0):
        return hf_mla(c, i)
    kv_heads = c.count("num_key_value_heads num_kv_heads", c.heads)
    dim = c.count("head_dim attention_head_dim kv_channels", c.hidden // c.heads)
    block = c.block(i, "attention")
    if block:
        linear = block.flag("replace_with_linear")
        if linear or block.flag("no_op"):
            return [], c.hidden**2 * linear, 0
        kv_heads = max(c.heads // block["n_heads_in_group"], 1)
    if kind == "full":  # Gemma 4
        dim = c.count("global_head_dim", dim)
        kv_heads = c.count("num_global_key_value_heads", kv_heads)
    query = c.hidden * c.heads * dim * (3 if c.flag("attn_output_gate") else 2)
    if i >= c.own_kv:
        return [], query, 0
    group = {"kind": kind, "kv_heads": kv_heads, "k_dim": dim, "v_dim": dim}
    if kind == "sliding":
        group["window"] = c["sliding_window sliding_window_size"]
    if kind == "chunked":
        group["chunk"] = c["attention_chunk_size"]
    key_is_value = c.flag("attention_k_eq_v") and kind == "full"
    return [group], query + c.hidden * kv_heads * dim * (1 if key_is_value else 2), 0


def hf_mla(c: HfDecoder, i: int) -> Layer:
    """MLA, com o indexador da DSA onde há um."""
    query, rank, value = c.count("q_lora_rank", 0), c["kv_lora_rank"], c["v_head_dim"]
    rope, nope, dim = c["qk_rope_head_dim"], c["qk_nope_head_dim"], c.count("index_head_dim", 0)
    down = c.hidden * (query + rank + rope)
    up = c.heads * ((query or c.hidden) * (nope + rope) + rank * (nope + value) + c.hidden * value)
    groups = [{"kind": "mla", "kv_lora_rank": rank, "qk_rope_head_dim": rope}]
    types = c.get("indexer_types", LIST, [])
    if dim and (not types or types[i:i + 1] == ["full"]):
        groups.append({"kind": "indexer", "index_head_dim": dim})
        down += (query * c["index_n_heads"] + c.hidden) * dim
        up += c.hidden * c["index_n_heads"]
    return groups, down + up, down


def hf_recurrence(c: HfDecoder) -> Layer:
    """Gated delta net ou Mamba2: estado fixo, no tipo que o config dá ao estado (senão bf16)."""
    gdn = "gdn" in c.traits
    heads, dim, key_dim, keys, kernel = map(c.count, (
        "linear_num_value_heads", "linear_value_head_dim", "linear_key_head_dim",
        "linear_num_key_heads", "linear_conv_kernel_dim") if gdn else (
        "mamba_num_heads mamba_n_heads", "mamba_head_dim mamba_d_head",
        "ssm_state_size mamba_d_state", "n_groups mamba_n_groups", "conv_kernel mamba_d_conv"))
    inner, conv = heads * dim, heads * dim + 2 * keys * key_dim
    bits = c.dtype_bits("mamba_ssm_cache_dtype mamba_ssm_dtype")
    state_bytes = inner * key_dim * bits // 8 + conv * (kernel - 1) * 2
    params = c.hidden * (conv + 2 * inner + (2 if gdn else 1) * heads) + conv * kernel
    return [{"kind": "linear", "heads": heads, "state_bytes": state_bytes}], params, 0


def hf_compressed(c: HfDecoder, ratio: int) -> Layer:
    """DeepSeek V4: janela em toda camada e um vetor K = V a cada `ratio` tokens."""
    dim, query, output = c["head_dim"], c["q_lora_rank"], c["o_lora_rank"]
    groups = [{"kind": "sliding", "kv_heads": 1, "k_dim": dim, "v_dim": 0,
               "window": c["sliding_window"]}]
    down = c.hidden * (query + dim)
    up = c.heads * dim * (query + output) + c.hidden * (c["o_groups"] * output + 3 * dim)
    if ratio:
        groups.append({"kind": "compressed", "dim": dim, "ratio": ratio})
    if 0 < ratio <= 4:
        index = c["index_head_dim"]
        groups.append({"kind": "compressed_indexer", "index_head_dim": index, "ratio": ratio})
        up += query * c["index_n_heads"] * index
    return groups, down + up, down


def hf_ffn(c: HfDecoder, kind: str, i: int) -> dict[str, int]:
    """Parâmetros por papel do FFN da camada `i`, e 1 em moe_layers se ela tem especialistas."""
    step = c.count("decoder_sparse_step interleave_moe_layer_step moe_layer_freq", 1)
    first = c.count("first_k_dense_replace num_dense_layers", 0, 0)
    matrices, block = c.count("ffn_matrices", 3), c.block(i, "ffn")
    if c.data["model_type"] == "nemotron_h" and kind not in ("moe", "mlp"):
        return {}
    if block:
        linear = block.flag("replace_with_linear")
        if linear or block.flag("no_op"):
            return {"dense": c.hidden**2 * linear}
        width = ceil_div(int(2 * block.get("ffn_mult", FACTOR) * c.hidden / 3), 256) * 256
    elif (c.experts and i >= first and (i + 1) % step == 0 and kind != "mlp"
          and i not in c.get("mlp_only_layers", LIST, [])):
        return hf_moe(c, matrices)
    else:
        width = (c.count("intermediate_size_mlp shared_intermediate_size", 0, 0)
                 or c["intermediate_size n_inner"])
        width *= 2 if c.flag("use_double_wide_mlp") and i >= c.own_kv else 1
    return {"dense": matrices * c.hidden * width}


def hf_moe(c: HfDecoder, matrices: int) -> dict[str, int]:
    width, latent = c[c.expert_width], c.count("moe_latent_size", 0, 0)
    copies = c.count("n_shared_experts num_shared_experts", 0, 0)
    shared = c.count("shared_expert_intermediate_size moe_shared_expert_intermediate_size "
                     "shared_intermediate_size", 0, 0) or copies * width
    return {"experts": c.experts * matrices * (latent or c.hidden) * width,
            "shared": matrices * c.hidden * shared,
            "router": c.hidden * (c.experts + 2 * latent), "moe_layers": 1}


def hf_vision(root: HfConfig, hidden: int) -> int:
    """Parâmetros da torre de visão, com erro de uns 10%: atenção e FFN de um ViT, projetor."""
    v = root.child("vision_config")
    if not v.data:
        return 0
    width = v["embed_dim vt_hidden_size hidden_size"]
    layer = 4 * width + 2 * v["intermediate_size vt_intermediate_size"]
    depth = v["depth num_hidden_layers vt_num_hidden_layers"]
    return width * (depth * layer + 4 * (4 * width + hidden))


def hf_bits(c: HfDecoder) -> dict[str, tuple[str, Exact]]:
    """(precisão, bits por parâmetro, com as escalas) de cada papel."""
    default: tuple[str, Exact] = "bf16", c.dtype_bits("torch_dtype dtype")
    bits = {**dict.fromkeys(HF_ROLES, default), "router": ("bf16", 16)}
    q = c.child("quantization_config")
    if not q.data:
        return bits
    groups, method = q.child("config_groups"), q.data.get("quant_method")
    weights = groups.child("group_0").child("weights")
    size = (weights if weights.data else q).count("group_size", 128)
    declared = "%s %s %s%s g%d" % (method, q.data.get("quant_algo"), weights.data.get("type"),
                                   weights.data.get("num_bits") or q.data.get("bits"), size)
    if len(groups.data) > 1:
        raise q.fail("config_groups", "um só formato de pesos")
    label = next((HF_SCHEMES[key] for key in HF_SCHEMES if re.search(key, declared)), None)
    if label is None:
        raise q.fail("quant_method", "fp8, mxfp4, compressed-tensors, modelopt, gptq ou awq")
    scaled = {"fp8": 8 + Fraction(1, 512), "int4": 4 + Fraction(16, size)}
    kept = [str(item) for field in ("modules_to_not_convert", "ignore", "exclude_modules")
            for item in q.get(field, LIST, []) if not re.search("vis[iu]|audio|mm_", str(item))]
    for role, pattern in HF_ROLES.items():
        # As exceções valem se citam o papel em geral, ou em mais da metade das camadas.
        cited = {re.sub(r".*layers\.(\d+)\..*", r"\1", name) for name in kept
                 if re.search(pattern, name)}
        most = 2 * len(cited) > len(c.kinds) or not all(map(str.isdigit, cited))
        if role == "experts" or not (most or method == "mxfp4"):
            bits[role] = label, scaled.get(label, WEIGHT_BITS[label][0])
    if c.data.get("expert_dtype") == "fp4":
        bits["experts"] = "mxfp4", WEIGHT_BITS["mxfp4"][0]
    return bits


def hf_layers(c: HfDecoder) -> tuple[list[Json], dict[str, int], dict[str, int]]:
    """(grupos de cache, parâmetros por papel, os da última camada).

    router inclui as normas; replicated, o que todo rank do tensor parallel repete da atenção.
    """
    groups: dict[str, Json] = {}
    params = dict.fromkeys((*HF_ROLES, "router", "replicated", "moe_layers"), 0)
    layer: dict[str, int] = {}
    for i, kind in enumerate(c.kinds):
        cached, attention, replicated = hf_mixer(c, kind, i)
        layer = {"attention": attention, "replicated": replicated, "router": 2 * c.hidden,
                 **hf_ffn(c, kind, i)}
        for role, number in layer.items():
            params[role] += number
        for group in cached or [{"kind": "none"}]:
            groups.setdefault(repr(group), {**group, "layers": 0})["layers"] += 1
    return list(groups.values()), params, layer


def hf_mtp(c: HfDecoder, layer_bytes: int) -> int:
    """Bytes das camadas MTP, com as projeções de entrada."""
    if "mtp" not in c.traits:
        return 0
    copies = 4 * c.hidden * (c.hidden + ("dup" in c.traits) * c["vocab_size"])
    return (layer_bytes + copies) * c.count("num_nextn_predict_layers mtp_num_hidden_layers", 0, 0)


def hf_context(c: HfDecoder, default: int | None) -> int:
    """O contexto máximo; YaRN só estende o que `max_position_embeddings` ainda não inclui."""
    names = "max_position_embeddings n_positions max_seq_len model_max_length"
    limit = c.count(names, default or 0)
    if not limit:
        raise c.fail("max_position_embeddings", "um inteiro positivo (ou --effective-context)")
    for rope in (c.child("rope_scaling"), c.child("rope_parameters")):
        if "yarn" in (rope.data.get("rope_type"), rope.data.get("type")):
            original = rope.count("original_max_position_embeddings", limit)
            limit = max(limit, int(original * rope.get("factor", FACTOR)))
    return limit


def model_from_hf_config(file: str, config: Any, name: str, index_bytes: int | None = None,
                         weights_bytes: int | None = None,
                         context: int | None = None) -> Json:
    """A entrada de `models.json` de um config.json; o campo não entendido levanta `SizingError`.

    `weights_bytes` (informado) ou `index_bytes` (do índice ao lado) valem mais que os bytes
    calculados; `context` é o máximo de tokens se o config não o diz.
    """
    root = HfConfig(file, config)
    c = HfDecoder(root)
    hidden, vocab = c.hidden, c["vocab_size"]
    groups, params, layer = hf_layers(c)
    bits, vision = hf_bits(c), hf_vision(root, hidden)
    embedding = vocab * hidden * (1 if c.flag("tie_word_embeddings") else 2)
    by_layer = c.count("hidden_size_per_layer_input", 0, 0) * len(c.kinds)
    if by_layer:  # Gemma 3n e 4
        embedding += by_layer * c["vocab_size_per_layer_input"]
        params["dense"] += 3 * hidden * by_layer

    def size(counts: dict[str, int]) -> int:
        return sum(ceil_div(n * bits[role][1], 8) for role, n in counts.items() if role in bits)

    experts = size({"experts": params["experts"]})
    dense = 2 * (embedding + vision) + size(params) - experts
    checkpoint = dense + experts + hf_mtp(c, size(layer))
    if index_bytes and abs(index_bytes - checkpoint) * 10 > checkpoint:
        raise SizingError(file, "o total_size do índice ao lado, %d, difere em mais de 10%% dos %d "
                          "bytes calculados com quantization_config; informe --weights-gib"
                          % (index_bytes, checkpoint))
    given = weights_bytes or index_bytes or checkpoint
    first: Json = next(filter(lambda group: "k_dim" in group, groups), {})
    plain = [group["kind"] for group in groups] == ["full"]
    active = embedding + sum(params[role] for role in bits)
    number = params["moe_layers"] and c.experts
    top = number and c["num_experts_per_tok num_experts_per_token experts_per_token top_k_experts"]
    latent = c.data.get("kv_lora_rank") or c.data.get("index_topk")
    entry = {
        "name": name, "num_layers": len(c.kinds), "num_attention_heads": c.heads,
        "num_key_value_heads": first.get("kv_heads", 1),
        "head_dim": first["k_dim"] if first else c["qk_rope_head_dim head_dim"],
        "hidden_size": hidden, "vocab_size": vocab,
        "intermediate_size": params["dense"] and c.count(
            "intermediate_size_mlp intermediate_size", 0),
        "max_position_embeddings": hf_context(c, context),
        "attention_pattern": "full" if plain else "groups", "groups": not plain and groups,
        **{key: latent and c.count(key, 0)
           for key in ("qk_nope_head_dim", "v_head_dim", "index_n_heads", "index_topk")},
        "default_kv_precision": "fp8", "params_total": active + vision,
        "params_active": active - params["experts"] // (number or 1) * (number - top),
        "params_embedding": embedding + vision,
        "native_precision": bits["experts" if number else "dense"][0],
        "checkpoint_bytes": given, "weights_dense_bytes": max(dense * given // checkpoint, 1),
        "weights_replicated_bytes": size({"attention": params["replicated"]}),
        "multimodal": vision > 0,
        "notes": "Lido do config.json; parâmetros contados pela arquitetura.", "source": file,
        "moe_layers": params["moe_layers"], "num_experts": number, "experts_per_token": top,
        "moe_intermediate_size": number and c[c.expert_width],
        "params_experts": params["experts"], "weights_expert_bytes": experts * given // checkpoint}
    c.check_read()
    return {key: value for key, value in entry.items() if value}


# ── A pergunta


class Question(Record):
    """As entradas dos catálogos, a carga e as escolhas de planejamento."""

    model: Model
    server: Server
    storage: Storage
    requested_context: int  # tokens por sessão; 0: o maior que couber
    kv_precision: str
    runtime_overhead_gib: Exact | None = None  # por nó; None: 15 por GPU
    concurrency: int = 0  # 0: a de requests_per_second, ou a maior que couber
    kv_budget_ratio: Fraction = DEFAULT_KV_BUDGET_RATIO
    peak_headroom_ratio: Fraction = DEFAULT_PEAK_HEADROOM_RATIO
    ha_mode: str = "none"
    gpu_memory_utilization: Fraction = DEFAULT_GPU_MEMORY_UTILIZATION
    tensor_parallel: int | None = None  # None: o leiaute que compra menos nós
    weights_precision: str | None = None  # None: a do checkpoint
    input_tokens: int | None = None  # novos, por pedido; None: as duas pontas de `inputs`
    output_tokens: int | None = None
    max_tpot_ms: float | None = None
    max_ttft_ms: float | None = None
    requests_per_second: Fraction | None = None
    nodes: int | None = None  # None: quantos forem precisos
    calibration: tuple[float, int] | None = None  # TPOT medido: (ms, sessões na réplica)
    tpot_scale: float = 1.0  # medido / previsto, da calibração
    pue: Fraction = DEFAULT_PUE
    node_price: Exact | None = None
    energy_price: Exact | None = None  # por kWh
    years: Exact | None = None

    def under(self, **load: Any) -> Question:
        """A mesma pergunta com outra carga, reserva, pico, nós ou entrada: o calculado não muda."""
        for name in ("memory", "kv_bytes", "budget_bytes"):
            getattr(self, name)  # calculado aqui, para que as cópias o levem
        other = Question.__new__(Question)
        vars(other).update(vars(self), **load)
        return other

    @cached_property
    def memory(self) -> dict[Any, Any]:
        """Leiautes e velocidades já calculados."""
        return {}

    @property
    def asks(self) -> str:
        """O que se quer saber; load: se a carga cabe nos nós."""
        if not (self.concurrency or self.requests_per_second):
            return "sessions"
        return "nodes" if self.nodes is None else "load" if self.requested_context else "context"

    @cached_property
    def timed(self) -> bool:
        """A velocidade entra na conta dos nós."""
        return {self.max_tpot_ms, self.max_ttft_ms, self.requests_per_second} != {None}

    @property
    def spares(self) -> int:
        return HA_SPARES[self.ha_mode]

    @cached_property
    def max_num_seqs(self) -> int:
        return self.server.max_num_seqs or DEFAULT_MAX_NUM_SEQS

    @cached_property
    def max_num_batched_tokens(self) -> int:
        return self.server.max_num_batched_tokens or DEFAULT_MAX_NUM_BATCHED_TOKENS

    @cached_property
    def effective_context(self) -> int:
        limit = self.model.max_position_embeddings
        return min(self.requested_context or limit, limit)

    @cached_property
    def output(self) -> int:
        return self.output_tokens or max(1, min(DEFAULT_OUTPUT_TOKENS, self.effective_context // 2))

    @cached_property
    def prompt(self) -> int:
        """Tokens de entrada, novos ou em cache."""
        return self.effective_context - self.output

    @property
    def request_fits(self) -> bool:
        """Entrada e saída cabem no contexto; sem `input_tokens`, sobra um token de entrada."""
        least = self.effective_context > 1 if self.input_tokens is None else self.input_tokens
        return self.prompt >= least

    @property
    def inputs(self) -> tuple[int, ...]:
        """Tokens novos por pedido: os dados, ou tudo (o dos objetivos) e uma volta de conversa."""
        if self.input_tokens is not None:
            return (self.input_tokens,)
        return (self.prompt, TURN_TOKENS) if self.prompt > TURN_TOKENS else (self.prompt,)

    @property
    def turn(self) -> Question | None:
        """A pergunta na outra ponta da carga; None se só há uma."""
        return self.under(input_tokens=self.inputs[1]) if len(self.inputs) > 1 else None

    @property
    def cached(self) -> int:
        return self.prompt - self.inputs[0]

    @cached_property
    def precision(self) -> str:
        return self.weights_precision or self.model.native_precision or "bf16"

    @property
    def converted(self) -> bool:
        """Os pesos não ficam na precisão do checkpoint."""
        return self.weights_precision not in (None, self.model.native_precision)

    @cached_property
    def weight_bytes(self) -> tuple[int, int]:
        """(densos, dos especialistas roteados): os do checkpoint, ou pelos parâmetros."""
        model = self.model
        if not self.converted:
            return model.weights_dense_bytes or 0, model.weights_expert_bytes or 0
        experts, embedding = model.params_experts or 0, model.params_embedding or 0
        expert_bits, dense_bits = WEIGHT_BITS[self.precision]
        linear = (model.params_total or 0) - experts - embedding
        return (2 * embedding + ceil_div(linear * (dense_bits if experts else expert_bits), 8),
                ceil_div(experts * expert_bits, 8))

    @cached_property
    def checkpoint_bytes(self) -> int:
        """O que um nó lê ao iniciar; 0 se o catálogo não diz."""
        whole = None if self.converted else self.model.checkpoint_bytes
        known = self.converted or self.model.weights_dense_bytes
        return whole or (sum(self.weight_bytes) if known else 0)

    @cached_property
    def element_bytes(self) -> int:
        return KV_PRECISIONS[self.kv_precision]

    @cached_property
    def kv_bytes(self) -> int:
        """De uma sessão."""
        return session_kv_bytes(self.model.layer_groups, self.effective_context, self.kv_precision)

    @cached_property
    def usable_bytes(self) -> int:
        """De cada GPU, os que o motor pode usar."""
        return self.gpu_memory_utilization * (self.server.hbm_usable_gib_per_gpu or 0) * GIB // 1

    @cached_property
    def overhead_gib(self) -> Exact:
        return self.runtime_overhead_gib or DEFAULT_OVERHEAD_GIB_PER_GPU * self.server.gpus

    @cached_property
    def budget_bytes(self) -> Exact:
        """De um nó, para KV; negativo se a reserva passa da fatia."""
        hbm = self.server.total_hbm_gb * GB
        return hbm * self.kv_budget_ratio - self.overhead_gib * GIB

    def plan_sessions(self, nodes: int) -> int:
        """Sessões que o plano admite em `nodes` nós."""
        budget = self.budget_bytes  # em inteiros: a conta se repete em cada linha comparada
        return max(0, nodes * budget.numerator // (budget.denominator * self.kv_bytes))


# ── Pesos, leiautes e o teto físico


def lacking(entry: Record, *fields: tuple[str, Any]) -> list[str]:
    """Os campos que o catálogo não traz, de (nomes, são precisos?)."""
    return [name for names, needed in fields if needed
            for name in names.split() if getattr(entry, name) is None]


def missing_text(names: Sequence[str]) -> str:
    return "falta%s no catálogo %s" % ("m" * (len(names) > 1), ", ".join(names)) if names else ""


def missing_for_ceiling(q: Question) -> list[str]:
    moe = q.model.num_experts or q.model.weights_expert_bytes
    # Sem os parâmetros, o que fica em 16 bits contaria como convertido: pesos de menos.
    return lacking(
        q.model, ("vocab_size hidden_size num_attention_heads", True),
        ("params_total params_embedding", q.converted), ("params_experts", q.converted and moe),
        ("weights_dense_bytes", not q.converted),
        ("num_experts experts_per_token moe_intermediate_size weights_expert_bytes", moe)
    ) + lacking(q.server, ("hbm_usable_gib_per_gpu", True))


def weight_parts(q: Question, tp: int, dp: int) -> dict[str, Exact]:
    """Bytes; cada GPU repete as projeções de entrada da MLA e a tabela do RoPE."""
    model, (dense, experts) = q.model, q.weight_bytes
    padding: Exact = 1
    if q.precision == "mxfp4" and experts:  # os kernels arredondam a fatia de cada especialista
        hidden, width = model.hidden_size or 1, model.moe_intermediate_size or 1
        tile = (256 if q.server.tflops_fp4 else 128) * (tp if dp == 1 else 1)
        padding = Fraction(ceil_div(hidden, 256) * 256 * ceil_div(width, tile) * tile,
                           hidden * width)
    return {"dense_bytes": dense, "expert_bytes": experts, "expert_padding": padding,
            "replicated_bytes": min(dense, model.weights_replicated_bytes or 0),
            "rope_bytes": 2 * model.max_position_embeddings * model.head_dim}


def weights_per_gpu(q: Question, tp: int, dp: int) -> int:
    parts = weight_parts(q, tp, dp)
    repeated = parts["replicated_bytes"]
    return int(ceil_div(parts["dense_bytes"] - repeated, tp) + repeated + parts["rope_bytes"]
               + ceil_div(parts["expert_bytes"] * parts["expert_padding"], tp * dp))


def activation_parts(q: Question, tp: int, dp: int, max_num_seqs: int) -> dict[str, int]:
    """Bytes das ativações em cada GPU; `sampler_bytes` e `ffn_bytes` não vivem juntos."""
    model, hidden, two_bytes = q.model, q.model.hidden_size or 0, 2 * q.max_num_batched_tokens
    width = ceil_div(model.moe_intermediate_size or 0, tp * dp)
    fused = q.precision == "mxfp4" or not model.num_experts
    logits = SAMPLER_BYTES[0] * max_num_seqs * (model.vocab_size or 0)
    return {
        "sampler_bytes": two_bytes * hidden + ceil_div(logits, SAMPLER_BYTES[1]),
        "ffn_bytes": two_bytes * (ceil_div(3 * (model.intermediate_size or 0), tp) + 3 * hidden),
        "moe_bytes": 0 if fused else two_bytes * (model.experts_per_token or 0) * (
            max(2 * width, hidden) + width),
        "encoder_bytes": ENCODER_BYTES if model.multimodal else 0,
        "indexer_bytes": INDEXER_BYTES if model.indexer_layers else 0}


def runtime_per_gpu(q: Question, tp: int, dp: int, max_num_seqs: int) -> tuple[int, int, int]:
    """Bytes em cada GPU: (ativações, contexto CUDA e NCCL, grafos CUDA)."""
    parts = activation_parts(q, tp, dp, max_num_seqs)
    unused = min(parts["sampler_bytes"], parts["ffn_bytes"])
    base, dense, moe = GRAPH_BYTES
    return (CUBLAS_BYTES + sum(parts.values()) - unused,
            NON_TORCH_PARALLEL_BYTES if tp * dp > 1 else NON_TORCH_BYTES,
            base + q.model.num_layers * (moe if q.model.num_experts else dense))


class Layout(Record):
    """Como uma réplica ocupa as GPUs e o que cabe nela; bytes por GPU."""

    tensor_parallel: int
    data_parallel: int  # > 1: cada GPU com as suas sessões, os especialistas espalhados por todas
    nodes_per_unit: int  # uma unidade é um nó, ou os nós de uma réplica
    gpus: int  # de uma réplica
    replicas_per_unit: int
    usable_bytes: int
    weights_bytes: int
    runtime_parts: tuple[int, int, int]  # ativações, contexto CUDA e NCCL, grafos CUDA
    runtime_bytes: int
    kv_capacity_bytes: int  # negativo se nem os pesos cabem
    session_bytes: int
    sessions_per_replica: int
    sessions_per_unit: int  # as que o motor admite

    def __str__(self) -> str:
        tp, dp = self.tensor_parallel, self.data_parallel
        return "dp %d" % dp if dp > 1 else "tp %d" % tp


def fit_layout(q: Question, tp: int, dp: int, nodes: int) -> Layout:
    """O leiaute dado, com quantas sessões cabem nele."""
    weights, default = weights_per_gpu(q, tp, dp), q.max_num_seqs
    session = sum(ceil_div(g.session_bytes(q.effective_context, q.element_bytes, PAGE_TOKENS),
                           min(tp, g.shards)) for g in q.model.layer_groups)
    free, runtime = q.usable_bytes - weights, runtime_per_gpu(q, tp, dp, default)
    sessions = max(0, (free - sum(runtime)) // session)
    if sessions > default:  # cada sessão a mais também aumenta o amostrador
        sessions = largest(sessions, lambda n: n * session + sum(
            runtime_per_gpu(q, tp, dp, n)) <= free, default)
        runtime = runtime_per_gpu(q, tp, dp, sessions)
    replicas = nodes * q.server.gpus // (tp * dp)
    return Layout(
        tensor_parallel=tp, data_parallel=dp, nodes_per_unit=nodes, gpus=tp * dp,
        replicas_per_unit=replicas, usable_bytes=q.usable_bytes, weights_bytes=weights,
        runtime_parts=runtime, runtime_bytes=sum(runtime), kv_capacity_bytes=free - sum(runtime),
        session_bytes=session, sessions_per_replica=sessions * dp,
        sessions_per_unit=sessions * dp * replicas)


def layouts_of(q: Question, nodes: int) -> list[Layout]:
    """Levanta `SizingError` se o tp pedido não serve."""
    gpus, asked, model = nodes * q.server.gpus, q.tensor_parallel, q.model
    heads = model.num_attention_heads or 0
    # As cabeças se dividem por tp; as de KV também, ou se repetem um número inteiro de vezes.
    ways = [tp for tp in (range(1, gpus + 1) if nodes == 1 else [gpus]) if heads % tp == 0
            and all(0 in (g.shards % tp, tp % g.shards) for g in model.layer_groups)]
    if asked and nodes == 1 and asked not in ways:
        raise SizingError("--tensor-parallel", "espera-se um destes, para %s em %s: %s" % (
            model.name, q.server.name, ", ".join(map(str, ways))), value=asked)
    pairs = [(tp, 1) for tp in ways if asked in (None, tp)]
    if model.latent and model.num_experts and gpus > 1 and asked in (None, 1):
        pairs.append((1, gpus))
    return [fit_layout(q, tp, dp, nodes) for tp, dp in pairs]


def wide_layouts(q: Question) -> list[Layout]:
    return [layout for nodes in range(2, MAX_NODES_PER_REPLICA + 1)
            for layout in layouts_of(q, nodes)]


def unit_layouts(q: Question) -> list[Layout]:
    """Os de um nó; se nenhum admite uma sessão, os de réplicas de vários nós também."""
    if "layouts" not in q.memory:
        layouts = layouts_of(q, 1)
        if not any(item.sessions_per_unit for item in layouts):
            layouts += wide_layouts(q)
            layouts = [item for item in layouts if item.sessions_per_unit] or layouts
        q.memory["layouts"] = layouts
    return list(q.memory["layouts"])


# ── Velocidade: decode, prefill e objetivos


def missing_for_speed(q: Question) -> list[str]:
    model, server = q.model, q.server
    return lacking(
        model, ("params_total params_embedding", True),
        ("params_experts moe_layers", model.num_experts),
        ("qk_nope_head_dim v_head_dim", any(g.kind == "mla" for g in model.layer_groups)),
        ("index_n_heads index_topk", model.indexer_layers)
    ) + lacking(server, ("hbm_bandwidth_tbps tflops_bf16", True), (
        "pcie_bandwidth_gbps", server.gpus > 1 and not server.nvlink_reaches(server.gpus)))


def tensor_peak(server: Server, precision: str) -> tuple[float, float]:
    """(FLOP/s densos, parte alcançada no prefill) na precisão em que a GPU calcula estes pesos."""
    mxfp4 = "fp8" if server.tflops_fp4 else "bf16"
    unit = {"mxfp4": mxfp4, "nvfp4": "fp4"}.get(precision, precision)
    if getattr(server, "tflops_" + unit, None) is None:
        unit = "bf16"
    return float(getattr(server, "tflops_" + unit)) * 1e12, PREFILL_MFU[unit]


def mxfp4_bias(q: Question) -> tuple[float, float]:
    """Fatores do gpt-oss em Blackwell sobre (o TPOT, o limite inferior da faixa)."""
    native = q.model.native_precision == q.precision == "mxfp4"
    if not native or not q.server.tflops_fp4 or q.model.latent:
        return 1.0, 1.0
    # Medido em B200; em outra GPU com FP4, sem medida, só alarga a faixa.
    return (MXFP4_BIAS, 1.0) if "B200" in (q.server.gpu or "").split() else (1.0, MXFP4_BIAS)


class Speed(Record):
    """Os tempos de uma réplica sob uma carga, em segundos; `sessions` são as da réplica inteira."""

    terms: dict[str, float]  # as grandezas das fórmulas, para --explain
    parts: dict[str, tuple[float, float]]  # parcela → (por passo, se lê tudo; por sequência)
    data_parallel: int
    output: int
    spread_seconds: float  # do prefill, a parte que não é atenção
    prefill_seconds: float  # de um pedido entre os outros
    alone_seconds: float  # de um prompt numa réplica ociosa
    scale: float  # viés medido e calibração, sobre todas as parcelas do TPOT

    @cached_property
    def totals(self) -> tuple[float, float]:
        fixed, each = zip(*self.parts.values())
        return sum(fixed), sum(each)

    def loaded(self, sessions: int) -> tuple[float, float, float]:
        """(sequências da GPU, s de especialistas que ninguém toca, s de prefill dos outros)."""
        rows = sessions / self.data_parallel
        # Enquanto um pedido gera os seus tokens, cada um dos outros o interrompe com um prefill.
        return (rows if rows > 1 else 1.0,
                self.parts["experts"][0] * (1 - self.terms["touched_ratio"])**sessions,
                self.prefill_seconds * (sessions - 1) / self.output)

    def breakdown_ms(self, sessions: int) -> dict[str, float]:
        rows, spared, prefill = self.loaded(sessions)
        times = {part: fixed + each * rows for part, (fixed, each) in self.parts.items()}
        times["experts"] -= spared
        times["prefill_interference"] = prefill
        return {part: 1e3 * self.scale * seconds for part, seconds in times.items()}

    def tpot_ms(self, sessions: int) -> float:
        """A soma de `breakdown_ms`, que as buscas repetem."""
        (fixed, each), (rows, spared, prefill) = self.totals, self.loaded(sessions)
        return 1e3 * self.scale * (fixed + each * rows - spared + prefill)

    def ttft_ms(self, sessions: int) -> float:
        """Até o primeiro token, sem fila: prefill e meio passo de espera."""
        return 1e3 * (FIRST_TOKEN_SECONDS + self.alone_seconds) + self.tpot_ms(sessions) / 2

    def prefill_ratio(self, sessions: int) -> float:
        """A parte do tempo gasta em prefill; de `QUEUE_RATIO` em diante não há TTFT a prever."""
        return 1e3 * self.scale * self.loaded(sessions)[2] / self.tpot_ms(sessions)

    def latency_seconds(self, sessions: int) -> float:
        """De um pedido, do envio ao último token."""
        return (FIRST_TOKEN_SECONDS + self.alone_seconds
                + self.tpot_ms(sessions) * (self.output - 0.5) / 1e3)

    def saturated_tokens_per_second(self, sessions: int) -> float:
        """Da réplica sempre cheia."""
        own = self.scale * self.prefill_seconds / self.output
        return sessions / (self.tpot_ms(sessions) / 1e3 + own)

    def missed(self, q: Question, sessions: int) -> str:
        """O objetivo que uma réplica com estas sessões não atende: `tpot`, `ttft` ou nenhum."""
        if q.max_tpot_ms and self.tpot_ms(sessions) > q.max_tpot_ms:
            return "tpot"
        late = q.max_ttft_ms and (
            self.ttft_ms(sessions) > q.max_ttft_ms or self.prefill_ratio(sessions) >= QUEUE_RATIO)
        return "ttft" if late else ""


def speed_terms(q: Question, layout: Layout) -> dict[str, float]:
    """As grandezas das fórmulas, com a sessão no meio da geração."""
    model, server, (dense_bytes, expert_bytes) = q.model, q.server, q.weight_bytes
    embedding, experts = model.params_embedding or 0, model.params_experts or 0
    linear = (model.params_total or 0) - embedding - experts
    linear_bytes = max(0, dense_bytes - 2 * embedding)
    mean, tp = q.effective_context - q.output // 2, layout.tensor_parallel
    head, heads = (model.hidden_size or 0) * (model.vocab_size or 0), model.num_attention_heads or 0
    dense = q.precision
    # As camadas densas de um MoE podem ter outra precisão: a que os seus bytes mostram.
    if experts and dense not in ("int4", "int8") and linear_bytes >= 0.75 * linear:
        dense = "fp8" if linear_bytes < 1.5 * linear else "bf16"
    dense_peak, dense_mfu = tensor_peak(server, dense)
    link = (float(server.nvlink_bandwidth_tbps or 0) * 1e12 / server.gpus / 2
            if server.nvlink_reaches(layout.gpus) else float(server.pcie_bandwidth_gbps or 0) * GB)
    return {
        "linear_params": linear, "head_params": head, "expert_params": experts,
        "weights_read_bytes": linear_bytes + 2 * head, "expert_bytes": expert_bytes,
        "kv_read_bytes": sum(g.read_bytes(mean, q.element_bytes) / min(tp, g.shards)
                             for g in model.layer_groups),
        "absorbed_flops": sum(
            2 * heads * g.pair_dims * g.layers * min(mean, g.read_tokens or mean) / g.stride
            for g in model.layer_groups if g.kind in LATENT),
        "attention_flops": model.attention_flops(q.inputs[0], q.cached), "blocks": model.sublayers,
        "touched_ratio": (model.experts_per_token or 0) / (model.num_experts or 1),
        "hbm_bandwidth": float(server.hbm_bandwidth_tbps or 0) * 1e12, "link_bandwidth": link or 1,
        "bf16_flops": float(server.tflops_bf16 or 0) * 1e12, "dense_flops": dense_peak,
        "expert_flops": tensor_peak(server, q.precision)[0], "dense_prefill_mfu": dense_mfu,
        "replica_gpus": layout.gpus}


def speed_of(q: Question, layout: Layout) -> Speed:
    """Equações no README: tp divide as camadas densas e as cabeças; tp · dp, os especialistas."""
    model, tp, gpus, t = q.model, layout.tensor_parallel, layout.gpus, speed_terms(q, layout)
    blocks, bandwidth, bf16 = t["blocks"], t["hbm_bandwidth"], t["bf16_flops"]
    attention = t["attention_flops"] / (bf16 * ATTENTION_MFU)
    linear = t["linear_params"] / t["dense_flops"]
    experts = t["expert_params"] * t["touched_ratio"] / t["expert_flops"]
    wait = blocks * ALL_REDUCE_SECONDS if gpus > 1 else 0.0
    # Segundos por token: 2 bytes por elemento, ida e volta.
    sent = blocks * 4 * (model.hidden_size or 0) * (gpus - 1) / gpus / t["link_bandwidth"]
    parts = {
        "weights": (t["weights_read_bytes"] / tp / (bandwidth * WEIGHTS_MBU),
                    2 * (linear + t["head_params"] / bf16) / tp / DECODE_MFU),
        "experts": (t["expert_bytes"] / gpus / (bandwidth * EXPERTS_MBU),
                    2 * experts / tp / DECODE_EXPERTS_MFU),
        "kv": (0.0, t["kv_read_bytes"] / (bandwidth * KV_MBU)
               + t["absorbed_flops"] / tp / (bf16 * ATTENTION_MFU)),
        "communication": (wait, sent / DECODE_LINK_RATIO),
        "launch": (blocks / 2 * LAYER_SECONDS + (model.moe_layers or 0) * MOE_LAYER_SECONDS
                   + model.indexer_layers * INDEXER_LAYER_SECONDS, 0.0)}
    computed = linear / t["dense_prefill_mfu"] + experts / PREFILL_EXPERTS_MFU
    spread = q.inputs[0] * (2 * computed / gpus + sent / PREFILL_LINK_RATIO)
    alone = max(spread + attention / tp, parts["weights"][0] + parts["experts"][0])
    return Speed(
        terms=t, parts=parts, output=q.output, data_parallel=layout.data_parallel,
        spread_seconds=spread, prefill_seconds=spread + attention / gpus,
        alone_seconds=q.tpot_scale * (alone + blocks / 2 * PREFILL_LAYER_SECONDS + wait),
        scale=mxfp4_bias(q)[0] * q.tpot_scale)


def known_speed(q: Question, layout: Layout) -> Speed:
    """`speed_of`, calculado uma vez."""
    key = layout, q.inputs[0]
    if key not in q.memory:
        q.memory[key] = speed_of(q, layout)
    speed: Speed = q.memory[key]
    return speed


def interval(estimate: float, low: float, high: float) -> dict[str, float]:
    """`low` e `high` são fatores sobre a previsão."""
    return {"estimate": rounded(estimate), "low": rounded(estimate * low),
            "high": rounded(estimate * high)}


def performance_of(q: Question, layout: Layout, speed: Speed, nodes: int, sessions: int) -> Json:
    """A velocidade da réplica mais cheia."""
    fullest = ceil_div(sessions, nodes * layout.replicas_per_unit)
    low, high = TPOT_MOE_RANGE if q.model.num_experts else TPOT_RANGE
    low, high = TPOT_CALIBRATED_RANGE if q.calibration else (low * mxfp4_bias(q)[1], high)
    parts, tpot = speed.breakdown_ms(fullest), speed.tpot_ms(fullest)
    prefill_ratio = speed.prefill_ratio(fullest)
    case = {
        "input_tokens": q.inputs[0], "cached_tokens": q.cached, "nodes": nodes,
        "sessions": sessions, "sessions_per_replica": fullest, "tpot_ms": interval(tpot, low, high),
        "ttft_ms": interval(speed.ttft_ms(fullest), *TTFT_RANGE)
        if prefill_ratio < QUEUE_RATIO else None}
    per_node = sessions / nodes * q.output / speed.latency_seconds(fullest)
    for name, rate in (("session", interval(1e3 / tpot, 1 / high, 1 / low)),
                       ("node", interval(per_node, *THROUGHPUT_RANGE))):
        name = "output_tokens_per_second_per_" + name
        case[name], case[name + "_range"] = rate.pop("estimate"), rate
    return dict(case, breakdown_ms={part: rounded(ms) for part, ms in parts.items()},
                binding=max(parts, key=lambda part: parts[part]),
                prefill_ratio=rounded(prefill_ratio))


# ── Nós e falhas


def nodes_for(sessions: Exact, headroom: Exact, sessions_per_unit: int = 1) -> int:
    """⌈sessions · (1 + headroom) / S⌉, em inteiros: a conta se repete em cada linha comparada."""
    return ceil_div(sessions.numerator * (headroom.denominator + headroom.numerator),
                    sessions.denominator * headroom.denominator * sessions_per_unit)


class Offer(Record):
    """O que uma unidade de um leiaute admite na pergunta; sem dados para o teto, sem leiaute."""

    layout: Layout | None
    unit: int  # nós de uma unidade
    sessions: int  # por unidade: o menor entre plano, teto físico e objetivos
    limited_by: str  # plan, engine_memory, tpot ou ttft
    speed: Speed | None  # da carga dos objetivos, se a velocidade entra na conta dos nós

    def load(self, q: Question, headroom: Exact, units: int) -> int:
        """Sessões em andamento em `units` unidades, até as que elas admitem."""
        if q.requests_per_second is None:
            return min(nodes_for(q.concurrency, headroom), units * self.sessions)
        assert self.speed and self.layout
        latency, replicas = self.speed.latency_seconds, self.layout.replicas_per_unit
        # O menor ponto fixo da lei de Little em cada unidade: sessões = taxa · latência(sessões).
        rate = q.requests_per_second * (1 + headroom) / units
        most, each = ceil_div(self.sessions, replicas), float(rate / replicas)
        fullest = 1 + largest(most - 1, lambda n: n < each * latency(n))
        return units * min(self.sessions, max(1, ceil_div(rate * Fraction(latency(fullest)), 1)))

    def demand(self, q: Question) -> tuple[Exact, int]:
        """(Sessões que a carga pede; as que uma unidade dá, ao menos uma)."""
        sessions = max(self.sessions, 1)
        if q.requests_per_second is None:
            return q.concurrency, sessions
        assert self.speed and self.layout
        replicas, latency = self.layout.replicas_per_unit, self.speed.latency_seconds
        # Little: uma unidade cheia serve sessões / latência; as que sobram da divisão pelas
        # réplicas só contam se pagam a latência que acrescentam.
        full = [(n, Fraction(latency(ceil_div(n, replicas)))) for n in
                {sessions, sessions // replicas * replicas or sessions}]
        sessions, seconds = max(full, key=lambda item: item[0] / item[1])
        return q.requests_per_second * seconds, sessions

    def nodes(self, q: Question, headroom: Exact) -> int:
        wanted, sessions = self.demand(q)
        return nodes_for(wanted, headroom, sessions) * self.unit

    def bought(self, q: Question) -> int:
        """Com o pico e a reserva de HA."""
        return self.nodes(q, q.peak_headroom_ratio) + self.unit * q.spares

    def holds(self, q: Question) -> int:
        """Sessões que os nós dados mantêm, com o pico e a reserva de HA à parte."""
        units = (q.nodes or 0) // self.unit - q.spares
        return max(0, units * self.sessions // (1 + q.peak_headroom_ratio))

    def cost(self, q: Question) -> tuple[int, ...]:
        """A preferência: menos nós, unidade menor, menos nós sem pico, mais sessões, teto, tp."""
        assert self.layout
        # Sem taxa, mais sessões já são menos nós sem pico.
        nominal = 0 if q.requests_per_second is None else self.nodes(q, 0)
        return (not self.sessions, -self.holds(q) if q.asks == "sessions" else self.bought(q),
                self.unit, nominal, -self.sessions, -self.layout.sessions_per_unit,
                self.layout.tensor_parallel)


def offer_of(q: Question, layout: Layout) -> Offer:
    plan, ceiling = q.plan_sessions(layout.nodes_per_unit), layout.sessions_per_unit
    sessions, limit = (ceiling, "engine_memory") if ceiling < plan else (plan, "plan")
    speed = known_speed(q, layout) if q.timed else None
    if speed:
        replicas = layout.replicas_per_unit
        kept = largest(ceil_div(sessions, replicas), lambda n: not speed.missed(q, n))
        if kept * replicas < sessions:
            sessions, limit = kept * replicas, speed.missed(q, kept + 1)
    return Offer(layout=layout, unit=layout.nodes_per_unit, sessions=sessions, limited_by=limit,
                 speed=speed)


# ── Storage, energia e custo


def storage_plan_of(q: Question, offer: Offer, nodes: int, sessions: int) -> Json:
    """Os tempos de carga, o KV guardado e o espaço; None é o que o catálogo não diz."""
    checkpoint, shared = q.checkpoint_bytes, q.storage.shared
    path = float(q.storage.throughput_read_gbps)

    def load_seconds(at_once: int) -> float | None:
        read = checkpoint / GB / min(path / at_once if shared else path, LOADER_GBPS)
        return rounded(read + ENGINE_START_SECONDS) if checkpoint else None

    restore, parked = q.kv_bytes / GB / path, sessions if shared else ceil_div(sessions, nodes)
    plan = {
        "checkpoint_bytes": checkpoint or None, "scope": "shared" if shared else "node",
        "loader_gbps": LOADER_GBPS, "engine_start_seconds": ENGINE_START_SECONDS,
        "node_recovery_seconds": load_seconds(offer.unit),
        "cold_start_seconds": load_seconds(nodes), "kv_restore_seconds": rounded(restore),
        "kv_recompute_seconds": None, "kv_faster": None,
        "parked_sessions": parked, "parked_kv_bytes": parked * q.kv_bytes,
        "capacity_bytes": checkpoint + parked * q.kv_bytes if checkpoint else None}
    if offer.layout and offer.speed and q.prompt > 0:
        alone = known_speed(q.under(input_tokens=q.prompt), offer.layout).alone_seconds
        plan.update(kv_recompute_seconds=rounded(alone),
                    kv_faster="restore" if restore < alone else "recompute")
    return plan


def physical_of(q: Question, nodes: int) -> Json:
    """Energia e espaço, pelos valores máximos do catálogo; None se ele não diz."""
    kw, units, heat = q.server.power_kw, q.server.rack_units, q.server.heat_btu_h
    # Um nó que sozinho passa do rack tem o seu.
    in_rack = min(RACK_UNITS // units, int(RACK_KW // kw)) if kw and units else None
    return {
        "power_kw": kw and nodes * kw, "rack_units": units and nodes * units,
        "racks": None if in_rack is None else ceil_div(nodes, in_rack or 1),
        "nodes_per_rack": in_rack or None, "heat_btu_h": heat and nodes * heat,
        "energy_mwh_year": kw and nodes * kw * q.pue * HOURS_PER_YEAR / 1000}


def costs_of(q: Question, nodes: int, sessions: int, mwh_year: Exact | None,
             tokens_per_second: float | None) -> Json:
    """O custo em `years` anos na potência máxima, com a carga nominal sem parar."""
    price, years = q.node_price, q.years
    if price is None and q.energy_price is None:
        return {}
    purchase = None if price is None else nodes * price
    energy = None if q.energy_price is None or mwh_year is None or years is None else (
        1000 * mwh_year * q.energy_price * years)
    total = (purchase or 0) + (energy or 0)
    tokens = (tokens_per_second or 0) * 3600 * HOURS_PER_YEAR * float(years or 0)
    return {
        "purchase": purchase, "energy": energy, "total": total,
        "per_session_month": years and Fraction(total) / (years * 12 * sessions),
        "per_million_output_tokens": rounded(float(total) / (tokens / 1e6)) if tokens else None}


# ── O dimensionamento


class SizingResult(Record):
    """Tudo o que as visões mostram, em blocos com os nomes do JSON; bytes e nós exatos.

    O que uma comparação de milhares de linhas não mostra só se calcula quando é lido.
    """

    question: Question  # com a carga ou o contexto que a resposta deu
    asks: str  # nodes, sessions, context ou load
    offers: tuple[Offer, ...]  # da que compra menos nós à que compra mais
    missing: list[str]  # os campos que faltam para o teto físico
    speed_gap: str  # por que não há velocidade prevista
    concurrency: int  # sessões em andamento
    peak_sessions: int
    spare_sessions: int  # vagas que sobram no pico, sem contar a reserva de HA
    nodes_minimum: int
    nodes_with_headroom: int
    nodes_final: int

    performance = cached_property(lambda r: tuple(performances(r)))
    nominal = cached_property(lambda r: next(performances(r), None))  # a primeira, sem as outras
    storage_plan = cached_property(
        lambda r: storage_plan_of(r.question, r.offer, r.nodes_final, r.concurrency))
    physical = cached_property(lambda r: physical_of(r.question, r.nodes_final))
    costs = cached_property(lambda r: costs_of(
        r.question, r.nodes_final, r.concurrency, r.physical["energy_mwh_year"],
        r.nominal and r.nodes_final * r.nominal["output_tokens_per_second_per_node"]))
    warnings = cached_property(lambda r: tuple(warnings_of(r)))

    @cached_property
    def offer(self) -> Offer:
        """A escolhida, com a velocidade."""
        offer = self.offers[0]
        if offer.layout and not self.speed_gap:
            offer = replace(offer, speed=known_speed(self.question, offer.layout))
        return offer

    @cached_property
    def results(self) -> Json:
        q, offer, kv = self.question, self.offer, self.question.kv_bytes
        total = kv * self.concurrency
        block = {
            "kv_per_session_gib": gib(kv), "kv_per_session_bytes": kv,
            "kv_total_tib": rounded(total / TIB), "kv_total_bytes": total,
            "kv_budget_gib": gib(q.budget_bytes), "kv_budget_bytes": q.budget_bytes // 1,
            "sessions_per_node": offer.sessions // offer.unit, "sessions_per_unit": offer.sessions,
            "nodes_per_unit": offer.unit, "limited_by": offer.limited_by}
        for name in ("peak_sessions", "nodes_minimum", "nodes_with_headroom", "nodes_final"):
            block[name] = getattr(self, name)
        if self.asks == "sessions":
            block.update(max_concurrency=self.concurrency, by_context=by_context(q))
        if self.asks == "context":
            block["max_context"] = q.effective_context
        return block

    @cached_property
    def upper_kv_bytes(self) -> int:
        """KV de uma sessão num motor sem janelas."""
        q = self.question
        return sum(replace(group, cap_tokens=None).session_bytes(
            q.effective_context, q.element_bytes) for group in q.model.layer_groups)

    @cached_property
    def nodes_other_end(self) -> int | None:
        """Os nós com o prefixo em cache; None: a velocidade não os decide, ou nada cabe."""
        turn = self.question.turn
        if not (turn and turn.timed and self.asks == "nodes"):
            return None
        costs = (offer_of(turn, offer.layout).cost(turn) for offer in self.offers if offer.layout)
        empty, nodes = min(costs)[:2]
        return None if empty else nodes

    @cached_property
    def ha_plan(self) -> Json:
        """O que resta depois das falhas que a HA cobre, ou de uma, se não cobre nenhuma.

        Um nó que falta tira a sua unidade inteira; os ociosos de uma carga fixa o substituem.
        """
        unit, failed = self.offer.unit, max(1, self.question.spares)
        units, idle = divmod(self.nodes_final, unit)
        nodes = unit * max(0, units - max(0, failed - idle))
        covers = nodes >= self.nodes_minimum
        return {
            "failed_nodes": failed, "nodes_after_failure": nodes,
            "sessions_after_failure": nodes // unit * self.offer.sessions,
            "covers_concurrency": covers, "covers_peak": nodes >= self.nodes_with_headroom,
            "failures_covered_nominal": max(0, idle + units - self.nodes_minimum // unit),
            "failures_covered_peak": max(0, idle + units - self.nodes_with_headroom // unit),
            "interrupted_sessions": ceil_div(self.concurrency, units),
            "meets_objectives": covers if self.question.timed else None}

    @property
    def answer(self) -> int:
        return {"nodes": self.nodes_final, "sessions": self.concurrency,
                "context": self.question.effective_context, "load": self.spare_sessions}[self.asks]


ANSWERS = {"nodes": ("nó", "nós"), "sessions": ("sessão", "sessões"),
           "context": ("token", "tokens"), "load": ("vaga livre", "vagas livres")}


def size(q: Question) -> SizingResult:
    """Responde à pergunta. Levanta `SizingError` (3) se nem uma sessão cabe."""
    asks, missing = q.asks, missing_for_ceiling(q)
    gap = missing_text(missing or missing_for_speed(q))
    for name in ("max_tpot_ms", "max_ttft_ms", "requests_per_second", "calibration"):
        if gap and getattr(q, name):
            flag = name.replace("calibration", "calibrate_tpot_ms").replace("_", "-")
            raise SizingError("--" + flag, "não há velocidade a prever: " + gap)
    if asks == "context":
        q = longest_context(q)
    q, offers = offers_of(q, [] if missing else unit_layouts(q))
    offer = offers[0]
    unit = offer.unit
    if asks == "sessions":
        q = q.under(concurrency=max(1, offer.holds(q)))
    final = offer.bought(q)
    if q.nodes:
        if final > q.nodes:
            raise too_few_nodes(q, offer, final, asks)
        final = q.nodes if asks == "load" else q.nodes // unit * unit
    units = final // unit - q.spares  # as que levam o pico
    peak = offer.load(q, q.peak_headroom_ratio, units)
    return SizingResult(
        question=q, asks=asks, missing=missing,
        offers=tuple(item for item in offers if item.unit == unit),
        concurrency=offer.load(q, 0, final // unit), peak_sessions=peak, nodes_final=final,
        spare_sessions=units * offer.sessions - peak, nodes_minimum=offer.nodes(q, 0),
        nodes_with_headroom=offer.nodes(q, q.peak_headroom_ratio),
        speed_gap=gap or "a rede entre os nós de uma réplica não é modelada" * (unit > 1))


def attempt(q: Question) -> SizingResult | None:
    try:
        return size(q)
    except SizingError:
        return None


def offers_of(q: Question, layouts: list[Layout]) -> tuple[Question, list[Offer]]:
    """(a pergunta, calibrada; as ofertas, da melhor à pior). Levanta `SizingError` (3)."""
    if layouts and not any(layout.sessions_per_unit for layout in layouts):
        raise nothing_fits(q, layouts)
    if (q.timed or q.calibration) and layouts[0].nodes_per_unit > 1:
        raise refusal(q, "uma réplica de %s não cabe num nó de %s, e a velocidade entre nós não é "
                      "modelada" % (q.model.name, q.server.name))
    if q.nodes:  # uma réplica maior que os nós dados não serve, se há outra
        layouts = [item for item in layouts if item.nodes_per_unit <= q.nodes] or layouts
    if q.calibration:
        q, layouts = calibrated(q, layouts)
    offers = sorted((offer_of(q, layout) for layout in layouts), key=lambda item: item.cost(q))
    offers = offers or [Offer(layout=None, unit=1, sessions=q.plan_sessions(1), limited_by="plan",
                              speed=None)]
    if not q.plan_sessions(offers[0].unit):
        raise plan_too_small(q, offers[0].unit)
    if not offers[0].sessions:
        raise out_of_reach(q, offers)
    return q, offers


def by_context(q: Question) -> list[Json]:
    """As sessões que os nós mantêm nos contextos usuais; um TPOT medido vale num contexto só."""
    asked = (replace(q, concurrency=0, requested_context=context) for context in USUAL_CONTEXTS
             if context <= q.model.max_position_embeddings and not q.calibration)
    return [{"effective_context": item.effective_context,
             "max_concurrency": getattr(attempt(item), "concurrency", 0)}
            for item in asked if item.request_fits]


def longest_context(q: Question) -> Question:
    """A pergunta com o maior contexto em que a carga cabe nos nós dados, ou o menor possível.

    Quando um nó já não admite uma sessão, réplicas de vários nós podem comprar menos: caber só é
    monótono de cada lado desse ponto.
    """
    limit = q.model.max_position_embeddings

    def at(tokens: int) -> Question:
        return replace(q, requested_context=tokens)

    def longest(low: int, high: int) -> int:
        # De dois em dois: num contexto ímpar e curto a saída padrão é menor que a entrada.
        even = 2 * largest(high // 2, lambda half: bool(attempt(at(2 * half))), (low - 1) // 2)
        if low <= even + 1 <= high and attempt(at(even + 1)):
            return even + 1
        return even if even >= low else 0

    first, inside = 1 + largest(limit - 1, lambda n: not at(n).request_fits), limit
    if not missing_for_ceiling(q):
        inside = largest(limit, lambda n: any(
            layout.sessions_per_unit for layout in layouts_of(at(n), 1)), first - 1)
    return at(longest(inside + 1, limit) or longest(first, inside) or first)


def calibrated(q: Question, layouts: list[Layout]) -> tuple[Question, list[Layout]]:
    """A pergunta com a escala do TPOT medido e o único leiaute em que ele vale.

    O ponto foi medido no leiaute que estaria em uso sem objetivos, com a carga da pergunta.
    """
    plain = size(replace(q, calibration=None, tpot_scale=1.0, nodes=None, max_tpot_ms=None,
                         max_ttft_ms=None, concurrency=q.concurrency or 1)).offer
    assert q.calibration and plain.layout and plain.speed
    ms, sessions = q.calibration
    used, scale, wrong = plain.layout, ms / plain.speed.tpot_ms(sessions), ""
    if sessions > used.sessions_per_replica:
        wrong = "espera-se até %s, o que uma réplica admite (%s)" % (
            sessions_text(used.sessions_per_replica), used)
    elif not 1 / ABSURD_CALIBRATION < scale < ABSURD_CALIBRATION:
        wrong = "o previsto é %s ms (%s): confira a unidade e a carga medida" % (
            number_text(ms / scale), used)
    if wrong:
        raise SizingError("--calibrate-tpot-ms", wrong, value="%g@%d" % (ms, sessions))
    return replace(q, tpot_scale=scale), [item for item in layouts if str(item) == str(used)]


def performances(r: SizingResult) -> Iterator[Json]:
    """A velocidade de cada ponta da carga, com todos os nós e depois das falhas consideradas."""
    layout = r.offer.layout
    if layout is None or r.speed_gap:
        return
    for end in filter(None, (r.question, r.question.turn)):
        speed = known_speed(end, layout)
        offer = replace(r.offer, speed=speed)
        for nodes in filter(None, (r.nodes_final, r.ha_plan["nodes_after_failure"])):
            yield performance_of(end, layout, speed, nodes, offer.load(end, 0, nodes))


# ── Recusas: o que falta e o que caberia


def refusal(q: Question, text: str, options: Callable[[], Sequence[Option]] = tuple,
            lead: str = "") -> SizingError:
    """Um erro de status 3; `ways_out` diz com quais das opções caberia."""
    error = SizingError("nada cabe", text, status=3)
    error.question, error.options, error.lead = q, options, lead
    return error


def fitting(options: Iterable[Option]) -> list[str]:
    return [text for text, q in options if q and attempt(q)]


def on_server(q: Question, server: Server) -> Question:
    """A pergunta em outro servidor, onde um TPOT medido neste não vale."""
    return replace(q, server=server, calibration=None, tpot_scale=1.0)


def ways_out(error: SizingError, servers: Sequence[Server]) -> str:
    """O que caberia no lugar do que foi recusado: cada flag sozinha, e os servidores."""
    q, options = error.question, error.options()
    found = fitting(options)
    text = "; nenhuma flag sozinha basta neste servidor" if options else ""
    if found:
        text = "; %scabe com %s" % (error.lead, " ou ".join(found))
    if q.calibration:
        return text
    if q.tensor_parallel and attempt(replace(q, tensor_parallel=None)):
        return text + "; cabe com --tensor-parallel auto"
    others = fitting((server.name, server != q.server and on_server(q, server))
                     for server in servers)
    if others:
        return text + "; cabe em: " + ", ".join(others)
    return text if found else text + "; não cabe em nenhum servidor do catálogo"


def plan_too_small(q: Question, unit: int) -> SizingError:
    total, budget, kv = q.server.total_hbm_gb * GB, q.budget_bytes, q.kv_bytes

    def options() -> Sequence[Option]:
        context = largest(q.model.max_position_embeddings, lambda n: session_kv_bytes(
            q.model.layer_groups, n, q.kv_precision) <= budget)
        shorter = replace(q, requested_context=context)
        overhead = Fraction((total * q.kv_budget_ratio - kv) * 1000 // GIB, 1000)
        ratio = Fraction(ceil_div((kv + q.overhead_gib * GIB) * 10000, total), 10000)
        return [
            ("--kv-precision fp8", q.element_bytes == 2 and replace(q, kv_precision="fp8")),
            ("--effective-context %d" % context, context and shorter.request_fits and shorter),
            ("--runtime-overhead-gib " + decimal_text(overhead, 3),
             overhead > 0 and replace(q, runtime_overhead_gib=overhead)),
            ("--kv-budget-ratio " + decimal_text(ratio, 4),
             ratio <= 1 and replace(q, kv_budget_ratio=ratio))]

    return refusal(
        q, "uma sessão de %s em %s pede %s de KV e o orçamento de %s é de %s (faltam %s)" % (
            q.model.name, q.server.name, size_text(kv), plural(unit, "nó"),
            size_text(unit * budget), size_text(kv - unit * budget)),
        options, "uma sessão por nó ")


def nothing_fits(q: Question, layouts: Sequence[Layout]) -> SizingError:
    best = max(layouts, key=lambda item: item.kv_capacity_bytes - item.session_bytes)
    return refusal(
        q, "%s em %s: no melhor leiaute (%s em %s), por GPU, pesos de %s, motor de %s e uma sessão "
        "de %s passam dos %s que o motor pode usar (faltam %s)" % (
            q.model.name, q.server.name, best, plural(best.nodes_per_unit, "nó"), *map(size_text, (
                best.weights_bytes, best.runtime_bytes, best.session_bytes, best.usable_bytes,
                best.session_bytes - best.kv_capacity_bytes))))


def out_of_reach(q: Question, offers: Sequence[Offer]) -> SizingError:
    reached = []
    for name, limit, metric in (("TPOT", q.max_tpot_ms, Speed.tpot_ms),
                                ("TTFT", q.max_ttft_ms, Speed.ttft_ms)):
        if limit is not None:
            best, where = min((metric(offer.speed, 1), str(offer.layout)) for offer in offers
                              if offer.speed and offer.layout and offer.layout.sessions_per_unit)
            reached.append("%s de %s ms fora do alcance: o melhor é %s ms (%s)" % (
                name, number_text(limit, 9), number_text(best, 4), where))
    return refusal(
        q, "com uma sessão por réplica de %s em %s e %s por pedido: %s" % (
            q.model.name, q.server.name, plural(q.inputs[0], "token novo", "tokens novos"),
            "; ".join(reached)),
        lambda: [("--input-tokens %d" % q.inputs[-1], q.turn),
                 ("--weights-precision fp8", q.precision in ("bf16", "fp16")
                  and replace(q, weights_precision="fp8"))])


def unit_text(unit: int) -> str:
    return "nó" if unit == 1 else "%d nós" % unit


def too_few_nodes(q: Question, offer: Offer, needed: int, asks: str) -> SizingError:
    nodes, spares = q.nodes or 0, q.spares * offer.unit
    given = "%s de %s" % (plural(nodes, "nó"), q.server.name)
    each = "%d por %s" % (offer.sessions, unit_text(offer.unit))
    if asks == "sessions":
        text = "%s, com %d de reserva e pico de %s, não %s nem uma sessão (%s)" % (
            given, spares, percent_text(q.peak_headroom_ratio),
            "mantém" if nodes == 1 else "mantêm", each)
    else:
        text = "%s %s %s de %s (%s, limite: %s); esta carga pede %s%s" % (
            given, "admite" if nodes == 1 else "admitem",
            sessions_text(nodes // offer.unit * offer.sessions),
            plural(q.effective_context, "token"), each, LIMITS[offer.limited_by],
            plural(needed, "nó"), " (%d de reserva)" % spares if spares else "")
    return refusal(q, text, lambda: [("--nodes %d" % needed, q.under(nodes=needed))])


# ── Avisos


def extrapolations(r: SizingResult) -> list[str]:
    """O que está fora das medidas em que o modelo de velocidade foi conferido."""
    q, layout = r.question, r.offer.layout
    if not layout or not r.nominal:
        return []
    return [text for text, outside in (
        ("contexto acima de %d" % MEASURED_CONTEXT, q.effective_context > MEASURED_CONTEXT),
        ("GPU sem medidas", MEASURED_GPUS.isdisjoint((q.server.gpu or "").split())),
        ("réplica de %d GPUs" % layout.gpus, layout.gpus > 8),
        ("comunicação por PCIe", layout.gpus > 1 and not q.server.nvlink_reaches(layout.gpus)),
        ("pesos " + q.precision, q.precision in ("int4", "int8")),
        ("atenção comprimida", any(g.kind == "compressed" for g in q.model.layer_groups)))
        if outside]


def warnings_of(r: SizingResult) -> Iterator[str]:
    """`código: frase`, do mais grave ao mais leve; cada aviso diz o número que o causou."""
    q, unit, spare, layout = r.question, r.offer.unit, r.spare_sessions, r.offer.layout
    if q.requested_context > q.effective_context:
        yield ("context_clamped: pedidos %d tokens, acima do máximo do modelo; dimensionado com %d"
               % (q.requested_context, q.effective_context))
    yield from wider_warning(r)
    if r.nodes_final == unit:
        bought = plural(unit, "nó")
        yield "single_node: %s sem HA: se um cair, para%s %s%s" % (
            bought, "m" * (r.concurrency != 1), sessions_text(r.concurrency),
            "" if q.nodes else "; --ha n+1 acrescenta " + bought)
    if q.nodes and q.nodes % unit:
        yield "idle_nodes: uma réplica ocupa %d nós: dos %d nós dados, %s" % (
            unit, q.nodes, plural(q.nodes % unit, "fica ocioso", "ficam ociosos"))
    if layout and r.speed_gap:
        yield "no_speed: não há velocidade prevista: " + r.speed_gap
    elif layout:
        yield from speed_warnings(r, layout)
    if spare < TIGHT_LAST_NODE_RATIO * r.offer.sessions and r.asks in ("nodes", "load"):
        yield "tight_capacity: no pico %s, %s %s (abaixo de %s)" % (
            "sobra 1 vaga" if spare == 1 else "sobram %d vagas" % spare,
            percent_text(Fraction(1000 * spare // r.offer.sessions, 1000)),
            "do último nó" if unit == 1 else "dos últimos %d nós" % unit,
            percent_text(TIGHT_LAST_NODE_RATIO))
    if layout:
        yield from ceiling_warnings(r, layout)
    else:
        yield ("no_ceiling: só o plano, que não confere se os pesos cabem; "
               + missing_text(r.missing))
    if q.kv_budget_ratio > HIGH_KV_BUDGET_RATIO:
        yield ("high_budget_ratio: %s da HBM para KV, acima de %s: risco de faltar memória para "
               "pesos, ativações e fragmentação"
               % (percent_text(q.kv_budget_ratio), percent_text(HIGH_KV_BUDGET_RATIO)))
    if q.kv_precision == "int8":
        yield ("int8_experimental: KV em int8 (1 byte) é experimental: poucos motores o servem; "
               "meça a qualidade ou use fp8, do mesmo tamanho")
    if q.storage.type != "local":
        yield "%s_storage: %s" % (q.storage.type, cold_start_text(r))
    if q.element_bytes == 2:
        fp8 = replace(q, kv_precision="fp8").kv_bytes
        yield "kv_16bit: KV em %s (2 bytes) pede %s por sessão, %s vezes os %s de fp8" % (
            q.kv_precision, size_text(q.kv_bytes), decimal_text(Fraction(q.kv_bytes, fp8), 2),
            size_text(fp8))


def wider_warning(r: SizingResult) -> Iterator[str]:
    q, offer = r.question, r.offer
    if offer.limited_by == "engine_memory" and offer.unit == 1 and not (q.timed or q.nodes):
        costs = (offer_of(q, layout).cost(q) for layout in wide_layouts(q))
        empty, nodes, unit, *_ = min(costs, default=(1, 0, 0))
        if not empty and 2 * nodes < r.nodes_final:
            yield ("wider_replica: réplicas de %d nós comprariam %d nós em vez de %d, se a rede "
                   "entre eles servisse" % (unit, nodes, r.nodes_final))


def cold_start_text(r: SizingResult) -> str:
    storage, cold = r.question.storage, r.storage_plan["cold_start_seconds"]
    text = "%s, %s GB/s %s" % (storage.name, decimal_text(storage.throughput_read_gbps, 3),
                               "divididos entre os nós" if storage.shared else "por nó")
    if storage.latency_read_ms_p99 is not None:
        text += ", P99 de %s ms" % decimal_text(storage.latency_read_ms_p99, 3)
    if cold is None:
        return text + ": a partida a frio não se calcula sem checkpoint_bytes no catálogo"
    return text + ": partida a frio de %s (%s de leitura); um nó volta em %s" % (
        seconds_text(cold), seconds_text(cold - ENGINE_START_SECONDS),
        seconds_text(r.storage_plan["node_recovery_seconds"]))


def speed_warnings(r: SizingResult, layout: Layout) -> Iterator[str]:
    """Pela pior das cargas mostradas."""
    q = r.question
    slowest = max(r.performance, key=lambda case: case["tpot_ms"]["estimate"])
    rate = slowest["output_tokens_per_second_per_session"]
    if rate < SLOW_TOKENS_PER_SECOND:
        yield "slow_decode: %s: %s tokens/s por sessão, abaixo de %d" % (
            load_text(slowest), number_text(rate), SLOW_TOKENS_PER_SECOND)
    busiest = max(r.performance, key=lambda case: case["prefill_ratio"])
    if busiest["prefill_ratio"] > HEAVY_PREFILL_RATIO:
        yield "heavy_prefill: %s: %d%% do tempo em prefill%s" % (
            load_text(busiest), 100 * busiest["prefill_ratio"],
            "" if busiest["ttft_ms"] else ", pedidos em fila")
    engines = (r.nodes_final - q.spares) * layout.replicas_per_unit * layout.data_parallel
    fullest = ceil_div(r.peak_sessions, engines)
    if fullest > q.max_num_seqs:
        yield ("max_num_seqs: %d sequências por motor no pico, acima das %d que ele admite por "
               "padrão: --max-num-seqs %d" % (fullest, q.max_num_seqs, fullest))
    if not 1 / FAR_CALIBRATION < q.tpot_scale < FAR_CALIBRATION:
        yield ("far_calibration: o TPOT medido é %s vezes o previsto: confira se a carga medida é "
               "a da pergunta" % number_text(q.tpot_scale))


def load_text(case: Json) -> str:
    return "%s, %s" % ("prefixo em cache" if case["cached_tokens"] else "prompt novo",
                       plural(case["nodes"], "nó"))


def ceiling_warnings(r: SizingResult, layout: Layout) -> Iterator[str]:
    q, offer = r.question, r.offer
    reserve, weights = q.overhead_gib * GIB, layout.weights_bytes * q.server.gpus
    if weights > reserve:
        yield ("weights_exceed_reserve: pesos de %s por nó, acima da reserva de %s do plano"
               % (size_text(weights), size_text(reserve)))
    idle = 1 - Fraction(offer.sessions, layout.sessions_per_unit)
    if idle > IDLE_CEILING_RATIO:
        yield ("idle_ceiling: usam-se %d das %d sessões que o motor admite: sobram %d%%, mais de "
               "um terço" % (offer.sessions, layout.sessions_per_unit, 100 * idle // 1))
    if offer.unit > 1:
        yield ("replica_spans_nodes: uma réplica não cabe em um nó; a que compra menos nós ocupa "
               "%d, e a rede entre eles decide a velocidade" % offer.unit)


# ── A explicação: cada número com a fórmula, os valores e a fonte

# `nome; rótulo; unidade; fórmula; fonte`, na ordem da conta; vale a primeira linha de cada nome
# em que toda grandeza tem valor, em `names_of_figures`.
FIGURES = """
effective_context; contexto usado; tokens; min(requested_context, max_position_embeddings);
  config.json do modelo
kv_total_bytes; KV de todas as sessões; B; concurrency * kv_per_session_bytes;
kv_budget_bytes; orçamento de KV por nó; B; total_hbm_gb * GB * kv_budget_ratio -
  runtime_overhead_gib * GIB; convenção do plano
plan_sessions; sessões que o plano admite por unidade; sessões; floor(nodes_per_unit *
  kv_budget_bytes / kv_per_session_bytes); convenção do plano
usable_bytes; HBM que o motor usa, por GPU; B; floor(gpu_memory_utilization * hbm_usable_gib_per_gpu
  * GIB); memória que o driver mostra
weights_bytes; pesos por GPU; B; ceil((dense_bytes - replicated_bytes) / tensor_parallel) +
  replicated_bytes + rope_bytes + ceil(expert_bytes * expert_padding / (tensor_parallel *
  data_parallel)); bytes do checkpoint
activation_bytes; ativações por GPU; B; max(sampler_bytes, ffn_bytes) + CUBLAS_BYTES + moe_bytes +
  encoder_bytes + indexer_bytes; ajuste a registros do vLLM
runtime_bytes; motor por GPU; B; activation_bytes + non_torch_bytes + cuda_graphs_bytes; ajuste a
  registros do vLLM
kv_capacity_bytes; KV que cabe por GPU; B; usable_bytes - weights_bytes - runtime_bytes;
sessions_per_replica; sessões que cabem na réplica; sessões; min(floor(kv_capacity_bytes /
  session_bytes_per_gpu), sequences_limit) * data_parallel; páginas de 16 tokens
ceiling_sessions; teto físico por unidade; sessões; sessions_per_replica * replicas_per_unit;
sessions_per_unit; sessões por unidade; sessões; min(plan_sessions, ceiling_sessions,
  objective_sessions); o menor limite vale
sessions_per_unit; sessões por unidade; sessões; min(plan_sessions, ceiling_sessions); o menor
  limite vale
max_concurrency; sessões que os nós mantêm; sessões; floor((floor(nodes / nodes_per_unit) -
  ha_spares) * sessions_per_unit / (1 + peak_headroom_ratio)); pico e reserva à parte
planned_sessions; sessões que a taxa pede, com a unidade cheia; sessões; requests_per_second *
  full_latency_seconds; lei de Little
nodes_minimum; capacidade pura; nós; ceil(planned_sessions / full_sessions) * nodes_per_unit;
nodes_with_headroom; com o pico; nós; ceil(planned_sessions * (1 + peak_headroom_ratio) /
  full_sessions) * nodes_per_unit;
nodes_bought; com a reserva de HA; nós; nodes_with_headroom + ha_spares * nodes_per_unit;
interrupted_sessions; em andamento na unidade que cai; sessões; ceil(concurrency / (nodes_final /
  nodes_per_unit));
sessions_after_failure; admitidas depois da falha; sessões; nodes_after_failure / nodes_per_unit *
  sessions_per_unit;
replica_sessions; sessões na réplica mais cheia; sessões; ceil(concurrency / (nodes_final *
  replicas_per_unit / nodes_per_unit));
rows; sequências por GPU; ; max(1, replica_sessions / data_parallel);
weights; TPOT: ler e calcular as camadas densas; ms; 1000 * scale * (weights_read_bytes /
  tensor_parallel / (hbm_bandwidth * WEIGHTS_MBU) + rows * 2 * (linear_params / dense_flops +
  head_params / bf16_flops) / tensor_parallel / DECODE_MFU); ajuste a medidas públicas
experts; TPOT: ler e calcular os especialistas; ms; 1000 * scale * (expert_bytes / replica_gpus /
  (hbm_bandwidth * EXPERTS_MBU) * (1 - (1 - touched_ratio)**replica_sessions) + rows * 2 *
  expert_params * touched_ratio / tensor_parallel / expert_flops / DECODE_EXPERTS_MFU); ajuste a
  medidas públicas
kv; TPOT: ler o KV; ms; 1000 * scale * rows * (kv_read_bytes / (hbm_bandwidth * KV_MBU) +
  absorbed_flops / tensor_parallel / (bf16_flops * ATTENTION_MFU)); ajuste a medidas públicas
communication; TPOT: comunicação; ms; 1000 * scale * parallel * blocks * (ALL_REDUCE_SECONDS + rows
  * 4 * hidden_size * (replica_gpus - 1) / replica_gpus / link_bandwidth / DECODE_LINK_RATIO);
  ajuste a medidas públicas
launch; TPOT: partida dos kernels; ms; 1000 * scale * (blocks / 2 * LAYER_SECONDS + moe_layers *
  MOE_LAYER_SECONDS + indexer_layers * INDEXER_LAYER_SECONDS); ajuste a medidas públicas
spread_seconds; prefill: camadas e comunicação; s; input_tokens * (2 * (linear_params / dense_flops
  / dense_prefill_mfu + expert_params * touched_ratio / expert_flops / PREFILL_EXPERTS_MFU) /
  replica_gpus + parallel * blocks * 4 * hidden_size * (replica_gpus - 1) / replica_gpus /
  link_bandwidth / PREFILL_LINK_RATIO); ajuste a medidas públicas
prefill_seconds; prefill de um pedido entre os outros; s; spread_seconds + attention_flops /
  replica_gpus / (bf16_flops * ATTENTION_MFU); ajuste a medidas públicas
prefill_interference; TPOT: prefill dos outros pedidos; ms; 1000 * scale * prefill_seconds *
  (replica_sessions - 1) / output_tokens;
tpot_ms; TPOT; ms; weights + experts + kv + communication + launch + prefill_interference; faixa de
  80% no README
alone_seconds; prefill de um prompt sozinho; s; tpot_scale * (max(spread_seconds + attention_flops /
  tensor_parallel / (bf16_flops * ATTENTION_MFU), weights_read_bytes / tensor_parallel /
  (hbm_bandwidth * WEIGHTS_MBU) + expert_bytes / replica_gpus / (hbm_bandwidth * EXPERTS_MBU)) +
  blocks / 2 * PREFILL_LAYER_SECONDS + parallel * blocks * ALL_REDUCE_SECONDS); ajuste a medidas
  públicas
ttft_ms; TTFT, sem fila; ms; 1000 * (FIRST_TOKEN_SECONDS + alone_seconds) + tpot_ms / 2; faixa de
  80% no README
session_rate; tokens por segundo e sessão; tok/s; 1000 / tpot_ms;
node_rate; tokens por segundo e nó; tok/s; concurrency / nodes_final * output_tokens / ((ttft_ms +
  (output_tokens - 1) * tpot_ms) / 1000); lei de Little
node_recovery_seconds; um nó de volta depois da falha; s; checkpoint_bytes / GB /
  min(throughput_read_gbps / recovering_nodes, LOADER_GBPS) + ENGINE_START_SECONDS; tempos de carga
  medidos
cold_start_seconds; todos os nós, a frio; s; checkpoint_bytes / GB / min(throughput_read_gbps /
  starting_nodes, LOADER_GBPS) + ENGINE_START_SECONDS; tempos de carga medidos
kv_restore_seconds; repor do storage o KV de uma sessão; s; kv_per_session_bytes / GB /
  throughput_read_gbps; perfil de storage
kv_recompute_seconds; recalcular o KV de uma sessão; s; ; alone_seconds com todo o prompt novo
capacity_bytes; espaço para o checkpoint e as sessões guardadas; B; checkpoint_bytes +
  parked_sessions * kv_per_session_bytes;
power_kw; potência máxima; kW; nodes_final * power_kw_per_node; folha do servidor
heat_btu_h; calor; BTU/h; nodes_final * heat_btu_h_per_node; folha do servidor
rack_units; espaço em rack; U; nodes_final * rack_units_per_node; folha do servidor
racks; racks de 42 U e até 45 kW; ; ceil(nodes_final / nodes_per_rack);
racks; racks; ; ; um nó passa sozinho de 45 kW ou de 42 U
energy_mwh_year; energia num ano, com o PUE; MWh; power_kw * pue * HOURS_PER_YEAR / 1000;
purchase; compra; ; nodes_final * node_price; preço dado
energy; energia no período; ; 1000 * energy_mwh_year * energy_price * years; preço dado
total; total; ; purchase + energy;
per_session_month; por sessão e mês; ; total / (years * 12 * concurrency);
per_million_output_tokens; por milhão de tokens gerados; ; total / (node_rate * nodes_final * 3600 *
  HOURS_PER_YEAR * years / 10**6); nós sempre com a carga nominal
"""
QUANTITY_NAME = r"[A-Za-z]\w+\b(?!\()"  # numa fórmula; antes de um parêntese há uma função


def figures_of(r: SizingResult) -> list[Json]:
    names, rows = names_of_figures(r), {}
    for line in FIGURES.replace("\n  ", " ").strip().splitlines():
        name, label, unit, formula, source = map(str.strip, line.split(";"))
        used = [name, *re.findall(QUANTITY_NAME, formula)]
        if name not in rows and None not in map(names.get, used):
            rows[name] = figure(names, name, label, unit, formula, source)
    return [rows.pop("effective_context"), *group_figures(r.question), *rows.values()]


def figure(names: Json, name: str, label: str, unit: str, formula: str, source: str = "") -> Json:
    """Um número da explicação; em `numbers`, a fórmula com os valores no lugar dos nomes."""
    numbers = re.sub(QUANTITY_NAME, lambda match: exact_text(names[match[0]]), formula)
    return {"name": name, "label": label, "value": json_number(names[name]), "unit": unit,
            "formula": formula, "numbers": numbers, "source": source}


def exact_text(value: Exact | float) -> str:
    """O número como entra numa conta: exato, ou com 9 algarismos; `(a / b)` se não é decimal."""
    if isinstance(value, float):
        return "%.9g" % value
    text = decimal_text(value, 33)
    return text if Fraction(text) == value else "(%d / %d)" % (value.numerator, value.denominator)


def group_figures(q: Question) -> list[Json]:
    """O KV de uma sessão em cada grupo de camadas e, por último, o total."""
    rows, parts, context = [], {}, q.effective_context
    for number, group in enumerate(q.model.layer_groups, 1):
        name = "kv_group_%d_bytes" % number
        parts[name] = group.session_bytes(context, q.element_bytes)
        rows.append(figure(
            dict(group.document, **parts, element_bytes=q.element_bytes,
                 held_tokens=min(context, group.cap_tokens or context) // group.stride),
            name, "KV do grupo %d, %s" % (number, group.kind), "B",
            "layers * (held_tokens * (elements_per_token * element_bytes + bytes_per_token) + "
            "fixed_bytes)", "vLLM, kv_cache_interface.py"))
    return [*rows, figure(dict(parts, kv_per_session_bytes=q.kv_bytes), "kv_per_session_bytes",
                          "KV de uma sessão", "B", " + ".join(parts))]


def names_of_figures(r: SizingResult) -> Json:
    """O valor de cada nome das fórmulas; None, ou ausente, se não se aplica a esta pergunta."""
    q, offer, layout, model, case = r.question, r.offer, r.offer.layout, r.question.model, r.nominal
    rate, shared, (planned, full) = q.requests_per_second, q.storage.shared, offer.demand(q)
    names: Json = {**globals(), **vars(model), **vars(q.server), **vars(q.storage)}  # e constantes
    names.update({name + "_per_node": value for name, value in vars(q.server).items()})
    names.update({name: getattr(q, name) for name in q.__dataclass_fields__})
    if layout:
        tp, dp = layout.tensor_parallel, layout.data_parallel
        limit = max(layout.sessions_per_replica // dp, q.max_num_seqs)
        parts = zip(("activation_bytes", "non_torch_bytes", "cuda_graphs_bytes"),
                    layout.runtime_parts)
        names.update({**vars(layout), **weight_parts(q, tp, dp),
                      **activation_parts(q, tp, dp, limit), **dict(parts)},
                     sequences_limit=limit, ceiling_sessions=layout.sessions_per_unit,
                     session_bytes_per_gpu=layout.session_bytes)
    costs = {name: cost or 0 for name, cost in r.costs.items()}
    for block in (vars(r), r.results, r.ha_plan, r.storage_plan, r.physical, costs):
        names.update(block)
    names.update(
        effective_context=q.effective_context, output_tokens=q.output, full_sessions=full,
        runtime_overhead_gib=q.overhead_gib,
        kv_budget_bytes=q.budget_bytes, plan_sessions=q.plan_sessions(offer.unit),
        ha_spares=q.spares, planned_sessions=float(planned) if rate else planned,
        full_latency_seconds=rate and float(planned / rate),
        recovering_nodes=offer.unit if shared else 1, starting_nodes=r.nodes_final if shared else 1,
        nodes_bought=r.nodes_final if r.asks == "nodes" else None,
        objective_sessions=offer.sessions if offer.limited_by in ("tpot", "ttft") else None)
    if case and offer.speed:
        speed, sessions = offer.speed, case["sessions_per_replica"]
        names.update(
            {**vars(speed), **speed.terms, **case["breakdown_ms"]}, replica_sessions=sessions,
            rows=speed.loaded(sessions)[0], parallel=int(speed.terms["replica_gpus"] > 1),
            input_tokens=case["input_tokens"], moe_layers=model.moe_layers or 0,
            indexer_layers=model.indexer_layers, tpot_ms=case["tpot_ms"]["estimate"],
            ttft_ms=speed.ttft_ms(sessions),
            session_rate=case["output_tokens_per_second_per_session"],
            node_rate=case["output_tokens_per_second_per_node"])
    return names


def alternatives(r: SizingResult, servers: Sequence[Server]) -> list[Json]:
    """O que mudaria a resposta, uma escolha por vez: {change, answer} (None: nada cabe)."""
    q = r.question
    if r.asks == "sessions":
        q = q.under(concurrency=0)
    if r.asks == "context":
        q = replace(q, requested_context=0)
    other = "fp16" if q.element_bytes == 1 else "fp8"
    options = {"KV em " + other: replace(q, kv_precision=other)}
    half = replace(q, requested_context=q.effective_context // 2)
    if r.asks != "context" and half.effective_context and half.request_fits:
        options["metade do contexto, %d tokens" % half.effective_context] = half
    larger = [server for server in servers if server.total_hbm_gb > q.server.total_hbm_gb]
    for server in sorted(larger, key=lambda server: server.total_hbm_gb)[:1]:
        change = "o servidor seguinte em HBM, %s (%s por nó)" % (
            server.name, plural(server.gpus, "GPU"))
        options[change] = replace(on_server(q, server), tensor_parallel=None)
    answers = [(change, attempt(option)) for change, option in options.items()]
    return [{"change": change, "answer": r and r.answer} for change, r in answers]


def launch_lines(r: SizingResult) -> list[str]:
    """O comando do motor que põe o leiaute no ar, com comentários do que falta fazer à mão."""
    q, layout, native = r.question, r.offer.layout, r.question.model.native_precision
    if layout is None:
        return ["# sem o teto físico não há leiaute; " + missing_text(r.missing)]
    if q.kv_precision == "int8":
        return ["# o vLLM não serve KV em int8; use --kv-precision fp8, do mesmo tamanho"]
    replicas, nodes, gpus = layout.replicas_per_unit, layout.nodes_per_unit, q.server.gpus
    tp, dp, many = layout.tensor_parallel, layout.data_parallel, replicas > 1
    quantized = q.precision == "fp8" and native in ("bf16", "fp16")
    notes = [text for needed, text in (
        (q.precision != native and not quantized,
         "# pesos em %s: use um checkpoint nesta precisão" % q.precision),
        (q.element_bytes == 2, "# KV no tipo do modelo, de 16 bits como " + q.kv_precision),
        (nodes > 1, "# em cada nó da réplica, com N=0 a %d (0 é o IP_DO_NÓ_0); de N=1 em diante,"
         "\n# acrescente --headless" % (nodes - 1)),
        (many, "# %d processos por nó: o processo i usa as GPUs a partir de i*%d e a porta 8000+i"
         % (replicas, layout.gpus))) if needed]
    words = [word for needed, *words in (
        (many, "CUDA_VISIBLE_DEVICES=" + ",".join(map(str, range(layout.gpus)))),
        (True, "vllm serve " + (q.model.hf_id or "CAMINHO_DO_MODELO")),
        (quantized, "--quantization fp8"),
        (True, "--tensor-parallel-size %d" % tp),
        (dp > 1, "--data-parallel-size %d --enable-expert-parallel" % dp),
        (nodes > 1 < dp, "--data-parallel-size-local %d" % gpus,
         "--data-parallel-start-rank $((N*%d))" % gpus, "--data-parallel-address IP_DO_NÓ_0"),
        (nodes > 1 == dp, "--nnodes %d" % nodes, "--node-rank $N", "--master-addr IP_DO_NÓ_0"),
        (True, "--max-model-len %d" % q.effective_context,
         "--kv-cache-dtype " + ("fp8" if q.kv_precision == "fp8" else "auto"),
         "--gpu-memory-utilization " + decimal_text(q.gpu_memory_utilization, 4),
         "--max-num-seqs %d" % ceil_div(r.offer.sessions, replicas * dp),
         "--max-num-batched-tokens %d" % q.max_num_batched_tokens),
        (q.model.launch_args, q.model.launch_args or ""), (many, "--port 8000")) if needed
        for word in words]
    lines = folded(" ".join(word.replace(" ", GLUE) for word in words), 4, WIDTH - 2)
    return "\n".join([*notes, " \\\n".join(lines)]).splitlines()


def explanation_of(r: SizingResult, servers: Sequence[Server]) -> Json:
    """Tudo o que `--explain` mostra; os leiautes, do escolhido ao pior."""
    layouts = [{"layout": str(offer.layout), "nodes_per_unit": offer.unit,
                "ceiling_sessions": offer.layout.sessions_per_unit, "sessions": offer.sessions,
                "limited_by": offer.limited_by,
                "nodes": offer.bought(r.question) if offer.sessions else None}
               for offer in r.offers if offer.layout]
    return {"figures": figures_of(r), "layouts": layouts,
            "alternatives": alternatives(r, servers), "launch": launch_lines(r)}


# ── Visões: só escrevem o que está no resultado

PARTS = {"weights": "pesos", "experts": "especialistas", "kv": "leitura do KV",
         "communication": "comunicação", "launch": "partida dos kernels",
         "prefill_interference": "prefill"}


def text_report(r: SizingResult) -> str:
    """O relatório, em 24 linhas de 80 colunas: a resposta, o porquê e o que preocupa."""
    sections = [folded(headline(r)), answer_lines(r), hbm_lines(r), speed_lines(r)]
    tail = folded(assumptions(r), 2)
    used = sum(map(len, sections)) + len(tail)
    if used > MAX_LINES - 3:  # os avisos valem mais que a barra, que está no JSON em números
        used, sections[2] = used - len(sections[2]), []
    sections += [warning_lines(r, MAX_LINES - used), tail]
    blanks, lines = MAX_LINES - sum(map(len, sections)), sections[0]
    for section, order in zip(sections[1:], (0, 3, 1, 2, 4)):
        # Uma linha em branco antes das seções mais distintas, enquanto couber.
        lines += [""] * bool(section and order < blanks) + section
    return "\n".join(lines) + "\n"


def headline(r: SizingResult) -> str:
    q, server, load = r.question, r.question.server, sessions_text(r.concurrency)
    rate = q.requests_per_second
    if rate is not None:
        load = "%s pedido%s/s (%s)" % (number_text(rate, 9), "s" * (rate != 1), load)
    return "%d × %s: %s, %s%s × %s%s, KV %s" % (
        r.nodes_final,
        "%s (%s)" % (server.product, server.name) if server.product else server.name, q.model.name,
        "até " * (r.asks == "sessions"), load, "até " * (r.asks == "context"),
        plural(q.effective_context, "token"), q.kv_precision)


def assumptions(r: SizingResult) -> str:
    """O que a resposta supõe e não está na pergunta, e onde há mais."""
    q = r.question
    parts = ["saída %d" % q.output] if r.performance else []
    if q.calibration:
        parts.append("tempos × %s, calibrados por %s ms com %s na réplica" % (
            number_text(q.tpot_scale), number_text(q.calibration[0], 9),
            sessions_text(q.calibration[1])))
    if r.offer.layout:
        parts.append("%s, %s da HBM" % (ENGINE, percent_text(q.gpu_memory_utilization)))
    return "Supõe: %s. Mais: --explain" % "; ".join([*parts, q.storage.name])


def answer_lines(r: SizingResult) -> list[str]:
    layout, kv, upper = r.offer.layout, r.question.kv_bytes, r.upper_kv_bytes
    rows = [("Nós", nodes_text(r)), ("Sessões/" + unit_text(r.offer.unit), limit_text(r))]
    if r.nodes_other_end is not None:
        rows.append(("", "com o prefixo em cache (+%d tokens por pedido): %s" % (
            TURN_TOKENS, plural(r.nodes_other_end, "nó"))))
    if layout:
        others = [("%s: %d" % (item.layout, item.layout.sessions_per_unit)).replace(" ", GLUE)
                  for item in r.offers[1:] if item.layout and item.layout.sessions_per_unit]
        rows.append(("", "; ".join(["teto físico: ~%d (%s)" % (layout.sessions_per_unit, layout),
                                    *others[:3], *["…"] * (len(others) > 3)])))
    rows += [("KV por sessão", "%s (%s: %s)%s" % (
                 size_text(kv), sessions_text(r.concurrency), size_text(kv * r.concurrency),
                 "; %s sem janelas" % size_text(upper) if upper > kv else "")),
             (failure_label(r), failure_text(r)), ("Instalação", physical_text(r))]
    rows += [("Custo", cost_text(r))] if r.costs else []
    if r.results.get("by_context"):
        rows.append(("Por contexto", "; ".join(
            "%(effective_context)d: %(max_concurrency)d".replace(" ", GLUE) % row
            for row in r.results["by_context"])))
    return [line for label, text in rows for line in folded("%-14s %s" % (label, text), 15)]


def nodes_text(r: SizingResult) -> str:
    q, ha = r.question, r.question.ha_mode.upper()
    peak = "com pico de %s (%s)" % (percent_text(q.peak_headroom_ratio),
                                    sessions_text(r.peak_sessions))
    if r.asks == "nodes":
        bought = "com %s %d" % (ha, r.nodes_final) if q.spares else "sem HA"
        return "capacidade pura %d → %s %d → %s" % (
            r.nodes_minimum, peak, r.nodes_with_headroom, bought.replace(" ", GLUE))
    if r.asks == "load":
        return "a carga cabe em %s (%s); o mínimo é %d" % (
            plural(r.nodes_final, "nó"), plural(r.spare_sessions, *ANSWERS["load"]),
            r.nodes_minimum)
    return "%s: %s %s" % (plural(r.nodes_final, "disponível", "disponíveis"), peak,
                          "e %s à parte" % ha if q.spares else "sem HA")


def physical_text(r: SizingResult) -> str:
    units = {"power_kw": "kW", "rack_units": "U",
             "racks": "rack" if r.physical["racks"] == 1 else "racks"}
    amounts = [(r.physical[name], unit) for name, unit in units.items() if r.physical[name]]
    parts = ["%s %s" % (decimal_text(amount, 2) if amount < 10**7 else "%.3g" % amount, unit)
             for amount, unit in amounts]
    one, cold = r.storage_plan["node_recovery_seconds"], r.storage_plan["cold_start_seconds"]
    if cold is not None:
        parts.append("carga %s (um nó ou todos)" % seconds_text(one) if one == cold else
                     "carga de um nó %s, de todos %s" % (seconds_text(one), seconds_text(cold)))
    return "; ".join(parts) or "o catálogo não diz energia, espaço nem pesos"


def cost_text(r: SizingResult) -> str:
    costs, years = r.costs, r.question.years
    lacking = ["sem a energia"] * (costs["energy"] is None)
    lacking += ["sem a compra"] * (costs["purchase"] is None)
    shown = {"purchase": "compra %s", "energy": "energia %s", "total": "total %s",
             "per_session_month": "%s por sessão e mês",
             "per_million_output_tokens": "%s por milhão de tokens"}
    parts = [text % money_text(costs[name]) for name, text in shown.items()
             if costs[name] is not None and not (name == "total" and lacking)]
    period = "" if years is None else " (%s ano%s)" % (decimal_text(years, 2), "s" * (years != 1))
    return "; ".join(parts + lacking) + period


def limit_text(r: SizingResult) -> str:
    q, offer = r.question, r.offer
    text = "%d, limite: %s" % (offer.sessions, LIMITS[offer.limited_by])
    if offer.limited_by == "plan":
        return text + " (%s da HBM nominal - %s GiB por nó)" % (
            percent_text(q.kv_budget_ratio), decimal_text(q.overhead_gib, 3))
    objective = {"tpot": q.max_tpot_ms, "ttft": q.max_ttft_ms}.get(offer.limited_by)
    text += " de %s ms" % number_text(objective, 9) if objective else ""
    if offer.layout and offer.speed and offer.limited_by == "ttft":
        fullest = offer.sessions // offer.layout.replicas_per_unit
        if offer.speed.prefill_ratio(fullest + 1) >= QUEUE_RATIO:
            text += "; acima disso há fila"
    return text + " (o plano daria %d)" % q.plan_sessions(offer.unit)


def failure_label(r: SizingResult) -> str:
    failed = r.ha_plan["failed_nodes"]
    return "Se um nó cair" if failed == 1 else "Se %d caírem" % failed


def lacking_text(count: int) -> str:
    return "falta%s %s" % ("m" * (count != 1), plural(count, "vaga"))


def failure_text(r: SizingResult) -> str:
    plan, unit, peak = r.ha_plan, r.offer.unit, r.peak_sessions
    left, admitted = plan["nodes_after_failure"], plan["sessions_after_failure"]
    by_rate = r.question.requests_per_second is not None
    if not left:
        return "nenhum nó resta: o serviço para"
    if plan["covers_peak"]:
        text = "pico coberto" if by_rate else "pico de %d coberto (folga %d)" % (
            peak, admitted - peak)
    elif plan["covers_concurrency"]:
        text = "taxa nominal coberta, o pico não" if by_rate else (
            "carga nominal coberta; no pico " + lacking_text(peak - admitted))
    else:
        text = "a taxa pede %d nós" % r.nodes_minimum if by_rate else (
            lacking_text(r.concurrency - admitted) + " já na carga nominal")
    nodes = plural(left, "nó") if unit == 1 else "%d de %d nós (sai a unidade inteira, de %d)" % (
        left, r.nodes_final, unit)
    return "%s, até %s: %s" % (nodes, sessions_text(admitted), text)


def hbm_lines(r: SizingResult) -> list[str]:
    """A barra de como se divide a HBM visível de um nó, com a legenda em GiB."""
    offer, layout, server = r.offer, r.offer.layout, r.question.server
    if layout is None:
        return []
    visible = Fraction(server.hbm_usable_gib_per_gpu or 0) * GIB
    plan = layout.session_bytes * layout.tensor_parallel * Fraction(
        offer.sessions, offer.unit * server.gpus)
    parts: Json = {  # de cada GPU
        "▓ pesos": layout.weights_bytes, "▒ motor": layout.runtime_bytes, "█ KV das sessões": plan,
        "░ livre": layout.kv_capacity_bytes - plan,
        ". fora do motor": visible - layout.usable_bytes}
    bar, legend, seen, scale = "", [], Fraction(0), Fraction(server.gpus, GIB)
    for label, part in parts.items():
        seen += part
        bar += label[0] * (round(seen * (WIDTH - 2) / visible) - len(bar))
        legend.append("%s %s" % (label, decimal_text(part * scale, 0)))
    title = "HBM por nó     %s GiB visíveis em %s; em GiB:" % (
        decimal_text(visible * scale, 0), plural(server.gpus, "GPU"))
    return [*folded(title, 15), "[%s]" % bar, *folded("  ".join(legend))]


def speed_lines(r: SizingResult) -> list[str]:
    """Uma linha por carga: TPOT, tokens/s por sessão e por nó e TTFT, com a faixa de 80%."""
    if not r.performance:
        return []
    columns, binds = "%17s" * 3, []
    lines = ["Previsto (80%)        TPOT ms" + columns % ("tok/s sessão", "tok/s nó", "TTFT ms")]
    for case in r.performance:
        kind, nodes = "cache" if case["cached_tokens"] else "novo", case["nodes"]
        label = "%s, %s" % (kind, plural(nodes, "nó") if nodes < 100 else
                            "todos" if nodes == r.nodes_final else "falha")
        rates = [range_text(dict(case[name + "_range"], estimate=case[name])) for name in (
            "output_tokens_per_second_per_session", "output_tokens_per_second_per_node")]
        lines.append(label + range_text(case["tpot_ms"]).rjust(29 - len(label)) + columns % (
            *rates, range_text(case["ttft_ms"]) if case["ttft_ms"] else "fila"))
        if nodes == r.nodes_final:
            part, tpot = case["binding"], case["tpot_ms"]["estimate"]
            binds.append("%s %d%% (%s: %s%d)" % (
                PARTS[part], 100 * case["breakdown_ms"][part] / tpot, kind,
                "+" * (kind == "cache"), case["input_tokens"]))
    lines += folded("Domina: " + "; ".join(binds), 2)
    outside = extrapolations(r)
    return lines + (folded("Extrapolado: " + "; ".join(outside), 2) if outside else [])


def range_text(figure: dict[str, float]) -> str:
    """Previsto e faixa: `212 (160-300)`; milhares com k, milhões com M."""
    value = figure["estimate"]
    divisor, unit = (10**6, "M") if value >= 999500 else (1000, "k") if value >= 999.5 else (1, "")
    estimate, low, high = (figure[key] / divisor for key in ("estimate", "low", "high"))
    if estimate < 1:
        return "%.2f (%.2f-%.2f)" % (estimate, low, high)
    return "%s%s (%s-%s)" % (number_text(estimate), unit, number_text(low, 2), number_text(high, 2))


def warning_lines(r: SizingResult, room: int) -> list[str]:
    """Os três avisos mais graves que cabem em `room` linhas; os outros são contados."""
    count = len(r.warnings)
    lines = [plural(count, "aviso") if count else "Nenhum aviso"]
    for shown, warning in enumerate(r.warnings):
        more = folded("! " + warning, 2)
        if shown == 3 or len(lines) + len(more) > room:
            lines[0] += " (à vista: %d; todos em --explain)" % shown
            break
        lines += more
    return lines


def explanation_text(r: SizingResult, parts: Json) -> str:
    """`--explain` em 80 colunas: números, leiautes, avisos, o que mudaria e o comando do motor."""
    lines = folded(headline(r), 2)
    for row in parts["figures"]:
        value, unit = row["value"], row["unit"]
        text = number_text(value, 9) if isinstance(value, float) else str(value)
        size_note = " (%s)" % size_text(value) if unit == "B" else ""
        lines += ["", *folded("%s: %s %s%s" % (row["label"], text, unit, size_note), 2)]
        for key, lead in (("formula", row["name"] + " = "), ("numbers", "= "),
                          ("source", "fonte: ")):
            lines += folded("  " + lead + row[key], 4) if row[key] else []
    if parts["layouts"]:
        lines += ["", "Leiautes: vence o que compra menos nós; no empate, o de mais sessões, o de "
                  "maior", "teto e o de menor tp."]
        lines += markdown_table([["leiaute", "teto", "sessões", "limite", "nós"]] + [
            [row["layout"], str(row["ceiling_sessions"]), str(row["sessions"]),
             LIMITS[row["limited_by"]], cell_text("nodes", row["nodes"])]
            for row in parts["layouts"]], "lrrlr")
    lines += ["", *folded(recovery_text(r), 2), "", "Avisos:" if r.warnings else "Nenhum aviso."]
    for warning in r.warnings:
        lines += folded("! " + warning, 2)
    lines += ["", "O que mudaria a resposta, uma escolha por vez:"]
    for row in parts["alternatives"]:
        answer = "nada cabe" if row["answer"] is None else plural(row["answer"], *ANSWERS[r.asks])
        lines += folded("%s: %s" % (row["change"], answer), 2)
    return "\n".join([*lines, "", "Para pôr no ar (%s):" % ENGINE, *parts["launch"], ""])


def recovery_text(r: SizingResult) -> str:
    """O que acontece de uma falha até o nó voltar."""
    ha, plan = r.ha_plan, {
        name: seconds_text(value) if name.endswith("_seconds") and value else value
        for name, value in r.storage_plan.items()}
    lost = ha["interrupted_sessions"]
    text = "%s: %s. Cada nó que cai interrompe %s, que perde%s o KV" % (
        failure_label(r), failure_text(r), sessions_text(lost), "m" * (lost != 1))
    if plan["kv_faster"]:
        text += ("; o de cada uma volta do storage em %(kv_restore_seconds)s, contra "
                 "%(kv_recompute_seconds)s de prefill: ganha " % plan)
        text += "o storage" if plan["kv_faster"] == "restore" else "o prefill"
    if plan["node_recovery_seconds"]:
        text += (". O nó volta em %(node_recovery_seconds)s e todos, a frio, em "
                 "%(cold_start_seconds)s, com o carregador padrão de até %(loader_gbps)d GB/s e "
                 "%(engine_start_seconds)s de partida do motor (15 a 400 s, conforme o modelo e os "
                 "kernels em cache)" % plan)
    if ha["meets_objectives"] is not None:
        text += ". A carga nominal %s aos objetivos" % (
            "ainda atende" if ha["meets_objectives"] else "já não cabe e não atende")
    return text + "."


def json_document(r: SizingResult) -> Json:
    """O resultado como documento JSON (schema_version 1): bytes inteiros e GiB arredondados."""
    layout = r.offer.layout
    return {**asked_json(r.question, r.asks, concurrency=r.concurrency), "results": r.results,
            **({"engine": engine_json(r, layout)} if layout else {}),
            "performance": performance_json(r), "storage_plan": r.storage_plan,
            "ha_plan": r.ha_plan, "physical": numbers(r.physical),
            **({"costs": numbers(r.costs)} if r.costs else {}), "warnings": list(r.warnings)}


def asked_json(q: Question, asks: str, **known: Any) -> Json:
    parameters = {name: getattr(q, name) for name in q.__dataclass_fields__
                  if name not in ("model", "server", "storage")}
    return {"schema_version": 1, "question": asks, "model": q.model.document,
            "server": q.server.document, "storage": q.storage.document,
            "parameters": numbers(dict(
                parameters, effective_context=q.effective_context, output_tokens=q.output,
                runtime_overhead_gib=q.overhead_gib, **known))}


def refused_json(q: Question, error: SizingError) -> Json:
    return dict(asked_json(q, q.asks), results=None, error=str(error))


def performance_json(r: SizingResult) -> Json | None:
    """A previsão da carga dos objetivos com todos os nós, e as de todas as cargas em `cases`."""
    layout, speed, sessions = r.offer.layout, r.offer.speed, r.offer.sessions
    if not r.performance or not (layout and speed):
        return None
    fullest = ceil_div(sessions, layout.replicas_per_unit)  # um nó sempre cheio
    return dict(r.performance[0], interval_ratio=0.8, extrapolated=extrapolations(r),
                saturated_output_tokens_per_second_per_node=rounded(
                    speed.saturated_tokens_per_second(fullest) * sessions / fullest),
                nodes_other_end=r.nodes_other_end, cases=r.performance)


def engine_json(r: SizingResult, layout: Layout) -> Json:
    """O leiaute em uso, o que ele ocupa por GPU e o que os outros admitiriam."""
    q, unit = r.question, layout.nodes_per_unit
    layouts = [offer.layout for offer in r.offers if offer.layout]
    key = ("engine", *layouts)
    if key not in q.memory:
        parts = zip(("activation", "non_torch", "cuda_graphs"), map(gib, layout.runtime_parts))
        tokens = layout.kv_capacity_bytes * layout.data_parallel * q.effective_context
        q.memory[key] = {
            "engine": ENGINE, "layout": str(layout),
            **{name: getattr(layout, name) for name in (
                "tensor_parallel", "data_parallel", "sessions_per_replica")},
            "replicas_per_node": layout.replicas_per_unit // unit, "nodes_per_replica": unit,
            "gpu_memory_utilization": json_number(q.gpu_memory_utilization),
            "hbm_usable_gib_per_gpu": json_number(q.server.hbm_usable_gib_per_gpu),
            **{name + "_gib_per_gpu": gib(getattr(layout, name + "_bytes")) for name in (
                "weights", "runtime", "kv_capacity")},
            "runtime_parts_gib_per_gpu": dict(parts),
            "kv_capacity_tokens_per_replica": tokens // layout.session_bytes,
            "kv_per_session_bytes_per_gpu": layout.session_bytes,
            "kv_per_session_upper_bytes": r.upper_kv_bytes,
            "sessions_per_node": layout.sessions_per_unit // unit,
            "layouts": [{"sessions_per_unit": item.sessions_per_unit,
                         "nodes_per_unit": item.nodes_per_unit, "layout": str(item),
                         "kv_capacity_gib_per_gpu": gib(item.kv_capacity_bytes)}
                        for item in layouts]}
    known: Json = q.memory[key]
    return known


def markdown_table(rows: Sequence[Sequence[str]], sides: str) -> list[str]:
    """Uma tabela Markdown alinhada, que se lê no terminal; `sides` é l ou r por coluna."""
    widths = [max(3, *map(len, column)) for column in zip(*rows)]
    layout = " | ".join("%%%s%ds" % ("-" * (side == "l"), width)
                        for side, width in zip(sides, widths))
    lines = ["| %s |" % (layout % tuple(row)) for row in rows]
    rulers = ["-" * (width + 1) for width in widths]
    ruler = "|".join(":" + rule if side == "l" else rule + ":"
                     for rule, side in zip(rulers, sides))
    return [lines[0], "|%s|" % ruler, *lines[1:]]


# O que as linhas de uma comparação podem variar: flag → (título, como se lê da pergunta).
VARIED: dict[str, tuple[str, Callable[[Any], str]]] = {
    "--model": ("modelo", lambda q: q.model.name),
    "--server": ("servidor", lambda q: q.server.name),
    "--concurrency": ("sessões", lambda q: str(q.concurrency)),
    "--effective-context": ("contexto", lambda q: str(q.effective_context) + (
        " (de %d)" % q.requested_context if q.requested_context > q.effective_context else "")),
    "--kv-precision": ("KV", lambda q: q.kv_precision),
    "--ha": ("HA", lambda q: q.ha_mode)}
ANSWER_COLUMNS = {"nodes": "nós", "sessions": "mantém", "context": "até tokens", "load": "vagas"}
# Ordem das linhas → (o que é ser a melhor, o que se compara; None vem por último).
SORTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "nodes": ("menos nós", lambda r: r.nodes_final),
    "sessions_per_node": ("mais sessões por nó", lambda r: -(r.offer.sessions // r.offer.unit)),
    "tpot_ms": ("menor TPOT", lambda r: r.nominal and r.nominal["tpot_ms"]["estimate"]),
    "power_kw": ("menos kW", lambda r: r.physical["power_kw"]),
    "rack_units": ("menos U", lambda r: r.physical["rack_units"])}
REFUSED = ((2, 0),)  # depois de toda posição de `rank`


def rank(outcome: Any, sort: str) -> tuple[Any, ...]:
    """A posição de uma linha: a ordem pedida, ou a da pergunta; no empate, nós, kW e TPOT.

    Servidores diferentes se comparam pela potência, que acompanha o preço e o espaço: um nó pode
    ser uma máquina de mesa ou um rack de 72 GPUs.
    """
    if isinstance(outcome, SizingError):
        return REFUSED
    by_answer = not sort and outcome.asks != "nodes"
    keys = [0 if sort or outcome.nominal else None,
            -outcome.answer if by_answer else SORTS[sort or "power_kw"][1](outcome),
            *(SORTS[name][1](outcome) for name in ("nodes", "power_kw", "tpot_ms"))]
    return tuple((key is None, key or 0) for key in keys)


def best_rows(rows: Sequence[Outcome], sort: str) -> dict[int, Any]:
    """Índice → posição das melhores linhas: uma por carga (sessões, contexto e HA) com escolha."""
    loads: dict[Any, list[Any]] = {}
    for index, (q, outcome, _) in enumerate(rows):
        load = q.concurrency, q.requested_context, q.ha_mode
        loads.setdefault(load, []).append((rank(outcome, sort), index))
    best = [min(choices) for choices in loads.values() if len(choices) > 1]
    return {index: position for position, index in best if position != REFUSED}


def fixed_text(q: Question, varied: Sequence[str], scenario: bool) -> str:
    """O que todas as linhas de uma comparação têm em comum."""
    rate = q.requests_per_second
    common = {
        "--model": q.model.name, "--server": q.server.name,
        "--concurrency": sessions_text(q.concurrency) if q.concurrency else "",
        "--effective-context": "%d tokens" % q.effective_context if q.requested_context else "",
        "--kv-precision": "KV " + q.kv_precision, "--ha": "" if scenario else "HA " + q.ha_mode,
        "pico": "" if scenario else "pico de " + percent_text(q.peak_headroom_ratio),
        "taxa": "" if rate is None else number_text(rate, 9) + " pedidos/s",
        "nós": "" if q.nodes is None else plural(q.nodes, "nó") + " por linha"}
    return ", ".join(text for flag, text in common.items() if text and flag not in varied)


def result_columns(q: Question, scenario: bool) -> list[tuple[str, str, Callable[[Any], str]]]:
    columns: list[Any] = [
        (ANSWER_COLUMNS[q.asks], "r", lambda r: str(r.answer)),
        ("sessões/nó", "r", lambda r: "%d%s" % (
            r.offer.sessions, " em %d" % r.offer.unit if r.offer.unit > 1 else "")),
        ("limite", "l", lambda r: LIMITS[r.offer.limited_by]),
        ("TPOT ms", "r", lambda r: range_text(r.nominal["tpot_ms"]) if r.nominal else "-"),
        ("kW", "r", lambda r: cell_text("power_kw", r.physical["power_kw"])),
        ("U", "r", lambda r: cell_text("rack_units", r.physical["rack_units"]))]
    if q.node_price is not None or q.energy_price is not None:
        columns.append(("custo", "r", lambda r: money_text(r.costs["total"])))
    if scenario:
        columns.append(("quedas cobertas", "r", lambda r: (
            "pico %(failures_covered_peak)d, nominal %(failures_covered_nominal)d" % r.ha_plan)))
    return columns


def comparison_text(rows: Sequence[Outcome], varied: Sequence[str], sort: str) -> str:
    """A comparação como tabela Markdown; embaixo, por que não cabe o que não cabe."""
    first, scenario = rows[0][0], bool(rows[0][2])
    columns, best, reasons = result_columns(first, scenario), best_rows(rows, sort), []
    table = [["", *["cenário"] * scenario, *(VARIED[flag][0] for flag in varied),
              *(title for title, _, _ in columns)]]
    for index, (q, outcome, label) in enumerate(rows):
        about = [label] * scenario + [VARIED[flag][1](q) for flag in varied]
        if isinstance(outcome, SizingError):
            limit, reason = ("não cabe", outcome.expected) if outcome.status == 3 else (
                "recusado", str(outcome))
            cells = [limit if title == "limite" else "-" for title, _, _ in columns]
            reasons += folded("- %s: %s" % (", ".join(about), reason), 2)
        else:
            cells = [cell(outcome) for _, _, cell in columns]
        table.append(["*" * (index in best), *about, *cells])
    sides = "l" * (1 + scenario) + "".join(
        "r" if flag in ("--concurrency", "--effective-context") else "l" for flag in varied)
    notes = ["* a melhor de cada carga: " + (SORTS[sort][0] if sort else "menos kW" if (
        first.asks == "nodes") else "a maior resposta")] if best else []
    notes += ["%s: pico de %s, HA %s, %s da HBM para KV" % (
        label, percent_text(q.peak_headroom_ratio), q.ha_mode, percent_text(q.kv_budget_ratio))
        for q, _, label in rows if scenario]
    load = next((item.nominal for _, item, _ in rows
                 if isinstance(item, SizingResult) and item.nominal), None)
    if load:
        notes.append("TPOT previsto e faixa de 80%%, %s, com todos os nós no ar" % (
            "prefixo em cache" if load["cached_tokens"] else "todo pedido com prompt novo"))
    lines = [*folded(fixed_text(first, varied, scenario)), "",
             *markdown_table(table, sides + "".join(side for _, side, _ in columns)), "", *reasons,
             *(folded("; ".join(notes) + ".", 2) if notes else [])]
    return "\n".join(lines).rstrip("\n") + "\n"


def without_shared(documents: Iterable[Json], write: Callable[[Json], Any]) -> Iterator[
        tuple[list[Any], Json]]:
    """(blocos que se repetem entre os documentos, cada um escrito uma só vez; o resto)."""
    known: dict[int, Any] = {}
    for document in documents:
        shared = []
        for name in ("model", "server", "storage", "engine"):
            if name in document:
                block = document.pop(name)
                if id(block) not in known:
                    known[id(block)] = write({name: block})
                shared.append(known[id(block)])
        yield shared, document


def json_lines(documents: Iterable[Json], ascii_only: bool) -> Iterator[str]:
    """Uma lista JSON aos pedaços, um documento por linha."""
    encode = json.JSONEncoder(ensure_ascii=ascii_only).encode
    start = "[\n{"
    for shared, rest in without_shared(documents, lambda block: encode(block)[1:-1] + ", "):
        yield start + "".join(shared) + encode(rest)[1:]
        start = ",\n{"
    yield "\n]\n"


def flat(document: Json, path: str = "") -> Iterator[tuple[str, Any]]:
    """(caminho, valor) de cada valor simples de um documento; as listas de textos, juntas."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield from flat(value, path + name + ".")
        elif name in ("source", "notes"):
            continue
        elif not isinstance(value, (list, tuple)):
            yield path + name, json.dumps(value) if isinstance(value, bool) else value
        elif all(isinstance(item, str) for item in value):
            yield path + name, "; ".join(value)


def csv_text(documents: Iterable[Json]) -> str:
    """Uma linha por documento (RFC 4180), com uma coluna por caminho do JSON."""
    import csv
    import io

    columns: dict[str, int] = {}
    rows: list[list[Any]] = []
    for shared, rest in without_shared(documents, lambda block: list(flat(block))):
        row: list[Any] = [""] * len(columns)
        for name, value in chain(*shared, flat(rest)):
            if columns.setdefault(name, len(row)) == len(row):
                row.append("")
            row[columns[name]] = value
        rows.append(row)
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(columns)
    writer.writerows(row + [""] * (len(columns) - len(row)) for row in rows)
    return stream.getvalue()


# Colunas de --list: campo e título, `campo=título`; pesos em GB.
LIST_COLUMNS = {
    "models": "name=nome num_layers=camadas attention_pattern=atenção "
              "max_position_embeddings=contexto checkpoint_bytes=pesos",
    "servers": "name=nome product=produto gpus=GPUs hbm_per_gpu_gb=GB/GPU "
               "hbm_usable_gib_per_gpu=GiB/GPU nvlink_bandwidth_tbps=NVLink_TB/s",
    "storage": "name=nome type=tipo iops_read=IOPS_leit. throughput_read_gbps=leit._GB/s "
               "throughput_write_gbps=escr._GB/s latency_read_ms_p99=P99_ms"}


def catalogue_table(kind: str, entries: Sequence[Any]) -> str:
    """As entradas de um catálogo em colunas, com os apelidos embaixo de cada nome."""
    names, titles = zip(*(column.split("=") for column in LIST_COLUMNS[kind].split()))
    rows = [[title.replace("_", " ") for title in titles]]
    rows += [[cell_text(name, getattr(entry, name)) for name in names] for entry in entries]
    layout = "  ".join("%%%s%ds" % (
        "-" * (name in ("name", "product", "type", "attention_pattern")), max(map(len, column)))
        for name, column in zip(names, zip(*rows)))
    lines = []
    for also, row in zip([(), *(names_of(entry)[1:] for entry in entries)], rows):
        lines.append((layout % tuple(row)).rstrip())
        lines += folded("  ou " + ", ".join(also), 5) if also else []
    return "\n".join(lines) + "\n"


def cell_text(name: str, value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    return decimal_text(Fraction(value, GB), 1) + " GB" if name == "checkpoint_bytes" else (
        decimal_text(value, 2))


# ── Linha de comando
# Quem lê flags ou arquivos levanta `SizingError`.

# A ajuda e a lista das flags: `--flag VALOR: texto`; o nome do valor diz o tipo, em `NUMBERS`.
HELP = """\
Quantos servidores NVIDIA servem N sessões simultâneas de um LLM, e a que
velocidade.

uso: python3 sizing.py --model NOME --server NOME --concurrency N [opções]

pergunta:
--model NOME: modelo do catálogo (obrigatório, ou --hf-config)
--hf-config ARQUIVO: no lugar de --model, o config.json de um modelo do Hugging Face
--weights-gib GIB: com --hf-config, o tamanho dos pesos (padrão: o do índice ou o calculado)
--server NOME: servidor do catálogo (obrigatório)
--concurrency N: sessões simultâneas, como 1000 ou 1k (padrão: quantas os nós mantêm)
--requests-per-second TAXA: no lugar de --concurrency, pedidos por segundo
--effective-context TOKENS: tokens por sessão, como 131072 ou 128k (padrão: o máximo do modelo)
--input-tokens TOKENS: tokens novos por pedido; o resto do contexto está em cache (padrão: as \
duas pontas, prompt todo novo e +1024 tokens)
--output-tokens TOKENS: tokens gerados por pedido (padrão: até 1024 e até metade do contexto)
--max-tpot-ms MS: objetivo de tempo por token
--max-ttft-ms MS: objetivo de tempo até o primeiro token
--nodes N: os nós que existem: quantas sessões mantêm; com --concurrency, até que contexto; com \
as duas e --effective-context, se a carga cabe (padrão, sem --concurrency: 1)
--scenarios: mínimo, recomendado e ideal lado a lado
--calibrate-tpot-ms MS@SESSÕES: um TPOT medido, com tantas sessões na réplica, escala a previsão
--storage NOME: perfil de storage, para o tempo de carga (padrão: profile_default)

política:
--kv-precision P: fp8, fp16, bf16 ou int8 (padrão: a do modelo)
--kv-budget-ratio RAZÃO: parte da HBM planejada para KV (padrão: 0.70)
--runtime-overhead-gib GIB: GiB por nó retirados dessa parte (padrão: 15 por GPU)
--peak-headroom-ratio PICO: pico acima da concorrência (padrão: 20%)
--ha MODO: nós de reserva: none, n+1 ou n+2 (padrão: none)
--gpu-memory-utilization RAZÃO: parte da HBM de cada GPU que o motor usa (padrão: 0.90)
--tensor-parallel GPUS: GPUs por réplica (padrão: auto, o leiaute que compra menos nós)
--weights-precision P: bf16, fp16, fp8, int8, mxfp4, nvfp4 ou int4 (padrão: a do checkpoint)

energia e dinheiro:
--pue PUE: energia do prédio sobre a dos servidores (padrão: 1.3)
--node-price PREÇO: preço de um nó, em qualquer moeda
--energy-price PREÇO: preço do kWh, na mesma moeda
--years ANOS: período do custo

saída:
--explain: cada número com a fórmula e os valores, e o comando do motor
--json, --json-only: escreve um documento JSON e nada mais
--csv: escreve uma tabela CSV, com uma coluna por valor do JSON
--sort COLUNA: ordena a comparação: nodes, sessions_per_node, tpot_ms, power_kw ou rack_units
--list CATÁLOGO: lista models, servers ou storage
--validate: verifica os três catálogos e lista todos os problemas
--print-model: com --hf-config, mostra a entrada para colar em models.json
--version: mostra a versão
--help, -h: mostra esta ajuda

catálogos (padrão: os que estão ao lado de sizing.py):
--models-file ARQUIVO: modelos (models.json)
--servers-file ARQUIVO: servidores (servers.json)
--storage-file ARQUIVO: perfis de storage (storage.json)

exemplos:
  python3 sizing.py --model opt-oss-120b --server dgx300 --concurrency 1000 \\
      --effective-context 128k --ha n+1
  python3 sizing.py --model opt-oss-20b --server dgx200 --concurrency 500 \\
      --effective-context 64k --kv-precision fp16 --json
  python3 sizing.py --list models

status de saída: 0 respondido; 1 a saída não pôde ser escrita; 2 pergunta ou
catálogo errado; 3 pergunta correta, mas nada cabe.
"""

ALIASES = {"--json": ("--json-only",), "--help": ("-h",)}
# O que dispensa a pergunta, com as únicas flags que aceita ao lado.
STANDALONE = {
    **dict.fromkeys(("--version", "--list", "--validate"),
                    "--json --csv --models-file --servers-file --storage-file"),
    "--print-model": "--json --hf-config --weights-gib --effective-context"}
# Flag → as que não se combinam com ela.
EXCLUSIVE = {"--hf-config": "--model --models-file", "--weights-gib": "--weights-precision",
             "--requests-per-second": "--concurrency", "--json": "--csv",
             "--explain": "--csv --scenarios", "--scenarios": "--ha"}
# Flag → as que lhe dão efeito: é preciso dar uma delas.
NEEDED = {"--weights-gib": "--hf-config", "--energy-price": "--years",
          "--years": "--node-price --energy-price"}
LOAD = {"--concurrency", "--requests-per-second"}
CHOICES: dict[str, Json] = {"--ha": HA_SPARES, "--kv-precision": KV_PRECISIONS, "--sort": SORTS,
                            "--weights-precision": WEIGHT_BITS, "--list": CATALOGUES}
UNITS = {"k": 1000, "m": 10**6}
TOKENS = {"k": 1024, "m": 1024**2}
RATIO = {"%": Fraction(1, 100)}
# Nome do valor → (sufixos, tipo, faixa, esperado). Milissegundos só entram em previsões: float.
NUMBERS: dict[str, tuple[Json, Any, Callable[[Fraction], bool], str]] = {
    "N": (UNITS, int, lambda v: v > 0, "um inteiro positivo, como 1000, 1e3 ou 1k"),
    "GPUS": (UNITS, int, lambda v: v > 0, "auto ou um inteiro positivo de GPUs"),
    "TOKENS": (TOKENS, int, lambda v: v > 0, "um inteiro positivo de tokens, como 131072 ou 128k"),
    "TAXA": (UNITS, Fraction, lambda v: v > 0, "um número positivo de pedidos por segundo"),
    "MS": (UNITS, float, lambda v: v > 0, "um número positivo de milissegundos"),
    "GIB": (UNITS, Fraction, lambda v: v > 0, "um número positivo de GiB"),
    "RAZÃO": (RATIO, Fraction, lambda v: 0 < v <= 1,
              "uma razão acima de 0 e até 1, como 0.7 ou 70%"),
    "PICO": (RATIO, Fraction, lambda v: v >= 0, "uma razão de 0 em diante, como 0.2 ou 20%"),
    "PUE": (UNITS, Fraction, lambda v: 1 <= v <= 10, "um número de 1 a 10"),
    "PREÇO": (UNITS, Fraction, lambda v: v > 0, "um número positivo, em qualquer moeda"),
    "ANOS": (UNITS, Fraction, lambda v: 0 < v <= 100, "um número de anos até 100")}


def flag_rows() -> list[tuple[str, str, str]]:
    """(flag, nome do valor ou "", ajuda) de cada flag."""
    heads = [line.partition(": ") for line in HELP.splitlines() if line.startswith("--")]
    return [(*head.split(", ")[0].partition(" ")[::2], text) for head, _, text in heads]


def help_text() -> str:
    """A ajuda, com o texto de cada flag em coluna, ou embaixo de uma flag comprida."""
    return re.sub("^(--.*?): (.*)", lambda row: "\n".join(folded(
        ("  " + row[1]).ljust(32 if len(row[1]) <= 28 else WIDTH) + row[2], 32)), HELP, flags=re.M)


class Parser(argparse.ArgumentParser):
    """`argparse` cujos erros são `SizingError`, em português."""

    def error(self, message: str) -> Any:
        match = re.match(r"argument ([^/:]+).*?: (expected|ignored explicit argument) ?(.*)",
                         message, re.S)
        if match:
            raise SizingError(match[1], "falta o valor" if match[2] == "expected" else
                              "não aceita valor (recebeu %s)" % match[3])
        raise SizingError("linha de comando", message)


def parse_arguments(argv: Sequence[str]) -> Flags:
    """O texto de cada flag dada, vazio nas que não têm valor."""
    # O argparse procuraria traduções e a largura do terminal, que aqui não servem: 4% da partida.
    vars(argparse)["_"] = str
    parser = Parser(add_help=False, allow_abbrev=False,
                    formatter_class=lambda prog: argparse.HelpFormatter(prog, width=WIDTH))
    metavars = {flag: metavar for flag, metavar, _ in flag_rows()}
    for flag, metavar in metavars.items():
        if metavar:
            parser.add_argument(flag, dest=flag)
        else:
            parser.add_argument(flag, *ALIASES.get(flag, ()), dest=flag, action="store_const",
                                const="")
    words: list[str] = []
    for word in argv:  # `--flag -1e5`: o argparse tomaria o valor negativo por outra flag
        if words and metavars.get(words[-1]) and word[:1] == "-" != word[1:2]:
            words[-1] += "=" + word
        else:
            words.append(word)
    args, unknown = parser.parse_known_args(words)
    if unknown:
        raise SizingError("argumento desconhecido", "veja --help" + nearest(
            unknown[0], list(metavars)), value=unknown[0])
    return {flag: "--" if isinstance(text, list) else text  # ele lê `--flag=--` como uma lista
            for flag, text in vars(args).items() if text is not None}


def quantity(flag: str, metavar: str, text: str) -> Any:
    """O número de uma flag, exato até a conversão para o tipo dela."""
    suffixes, kind, accepts, expected = NUMBERS[metavar]
    factor = suffixes.get(text[-1:].lower())
    body = text[:-1] if factor else text
    number, hint = exact_decimal(body), ""
    value = (number or 0) * Fraction(factor or 1)
    if number is None:
        if "," in text:
            hint = "; sem vírgula: o separador decimal é o ponto e o milhar não se separa"
        elif re.fullmatch(r"[+-]?[0-9_.]+([eE][+-]?[0-9]+)?", body):
            hint = "; até %d dígitos e expoente até %d" % (MAX_DIGITS, MAX_DIGITS)
    elif kind is int and "." in text and not (factor or "e" in text.lower()):
        if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{3})+", text):
            hint = "; o milhar não se separa: escreva " + text.replace(".", "")
    elif suffixes is RATIO and accepts(value) and value > 1 and not factor:
        hint = "; acima de 1 diga a porcentagem: %s%% ou %s%%?" % (
            text, decimal_text(value * 100, 2))
    elif accepts(value) and (kind is not int or value.denominator == 1):
        return kind(value)
    raise SizingError(flag, "espera-se " + expected + hint, value=text)


def measured_point(flag: str, text: str) -> tuple[float, int]:
    ms, sessions = (exact_decimal(part) for part in text.partition("@")[::2])
    if not ms or not sessions or min(ms, sessions) < 0 or sessions.denominator > 1:
        raise SizingError(flag, "espera-se MS@SESSÕES, como 38.5@64: um número positivo de "
                          "milissegundos e um inteiro positivo de sessões", value=text)
    return float(ms), int(sessions)


def value_of(flag: str, metavar: str, text: str) -> Any:
    """O valor de uma flag: escolha, número ou o próprio texto."""
    lower, choices = text.lower(), CHOICES.get(flag)
    if choices and lower not in choices:
        raise SizingError(flag, "espera-se um destes: " + ", ".join(choices)
                          + nearest(text, list(choices)), value=text)
    if metavar == "MS@SESSÕES":
        return measured_point(flag, text)
    if metavar in NUMBERS:
        return None if (metavar, lower) == ("GPUS", "auto") else quantity(flag, metavar, text)
    return lower if choices else text


def values_of(given: Flags) -> Json:
    """Valores por nome, em listas nas flags de `VARIED`; sem os nomes de catálogo."""
    values: Json = {}
    for flag, metavar, _ in flag_rows():
        if flag not in given:
            continue
        text = given[flag]
        elements = text.split(",") if flag in VARIED else [text]
        if len(elements) > 1 and re.search("(^|,)0[0-9]+(,|$)", text):
            raise SizingError(flag, "a vírgula separa os valores a comparar, e o milhar não se "
                              "separa", value=text)
        if metavar == "NOME":
            continue
        try:
            found = [value_of(flag, metavar, element) for element in elements]
        except SizingError as error:
            error.expected += "; a vírgula separa os valores a comparar" * (len(elements) > 1)
            raise
        values[flag[2:].replace("-", "_")] = found if flag in VARIED else found[0]
    return values


def os_reason(error: OSError) -> str:
    import errno

    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    return {"ENOENT": "o arquivo não existe", "EISDIR": "é um diretório",
            "EACCES": "sem permissão", "ENOSPC": "não há espaço no disco",
            }.get(name, "erro %s do sistema" % name)


def read_file(path: str, shown: str) -> bytes:
    """O conteúdo de um arquivo; `shown` é o nome dele nas mensagens."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SizingError(shown, os_reason(error) + "; espera-se um arquivo JSON") from None
    except ValueError:  # caminho com byte nulo
        raise SizingError(shown, "não é um caminho de arquivo") from None
    if len(data) > MAX_FILE_BYTES:
        raise SizingError(shown, "o arquivo passa de %d MiB" % (MAX_FILE_BYTES // 2**20))
    return data


def read_catalogue(given: Flags, kind: str) -> tuple[list[Any], list[SizingError]]:
    """(entradas, problemas) do catálogo da flag, ou do que está ao lado deste arquivo."""
    shown = kind + ".json"
    path = os.path.join(os.path.dirname(os.path.realpath(__file__)), shown)
    if "--%s-file" % kind in given:
        path = given["--%s-file" % kind]
        shown = path or "''"
    try:
        return load_catalogue(kind, shown, read_file(path, shown))
    except SizingError as error:
        return [], [error]


def require_catalogue(given: Flags, kind: str) -> list[Any]:
    """As entradas de um catálogo sem problemas."""
    entries, problems = read_catalogue(given, kind)
    if len(problems) > 1:
        problems[0].expected += " (e mais %s: veja --validate)" % plural(
            len(problems) - 1, "problema")
    if problems:
        raise problems[0]
    return entries


def hf_model(given: Flags, values: Json) -> tuple[Model, Json]:
    """(modelo, entrada de `models.json`) de --hf-config, verificada como as do catálogo."""
    path = given["--hf-config"]
    config = parse_json(path, read_file(path, path))[0]
    folder, base = os.path.split(os.path.abspath(path))
    stem = os.path.splitext(base)[0]
    stem = os.path.basename(folder) if stem == "config" else stem
    name = re.sub(r"[^\w./+-]", "-", stem.lower(), flags=re.A)[:80]
    weights, contexts = values.get("weights_gib"), values.get("effective_context", [])
    index, index_bytes = os.path.join(folder, "model.safetensors.index.json"), None
    if weights is None and os.path.exists(index):
        content = HfConfig(index, parse_json(index, read_file(index, index))[0])
        index_bytes = content.child("metadata").count("total_size", high=10**15)
    entry = model_from_hf_config(path, config, name or "modelo", index_bytes,
                                 weights and ceil_div(weights * GIB, 1),
                                 contexts[0] if len(contexts) == 1 else None)
    models, problems = check_document("models", {"models": [entry]})
    for place, value, expected in problems:
        raise SizingError(path, expected, path=place[2:], value=value)
    return models[0], entry


def check_combination(given: Flags) -> None:
    """Recusa flags que faltam, sem efeito ou que não se combinam."""
    model = "--hf-config" if "--hf-config" in given else "--model"
    missing = [flag for flag in (model, "--server") if flag not in given]
    if missing:
        raise SizingError("pergunta incompleta", "falta%s %s; veja --help" % (
            "m" * (len(missing) > 1), ", ".join(missing)))
    for flag, others in NEEDED.items():
        if flag in given and not given.keys() & set(others.split()):
            raise SizingError(flag, "só tem efeito com " + " ou ".join(others.split()))
    exclusive = dict(EXCLUSIVE)
    if "--nodes" in given and given.keys() & LOAD:
        exclusive["--nodes"] = "--peak-headroom-ratio --ha --scenarios" if (
            "--effective-context" in given) else "--calibrate-tpot-ms"  # medido num contexto
    for flag, others in exclusive.items():
        for other in others.split():
            if flag in given and other in given:
                raise SizingError(flag, "não se combina com " + other)
    several = [flag for flag in VARIED if re.search("(?i),|^all$", given.get(flag, ""))]
    for flag in ("--explain", "--scenarios", "--calibrate-tpot-ms"):
        if flag in given and several:
            raise SizingError(flag, "não aceita comparar: dê um só valor a " + several[0])
    if "--sort" in given and not (several or "--scenarios" in given):
        raise SizingError("--sort", "só tem efeito numa comparação: dê uma lista, como --server "
                          "dgx300,dgx200")


def named(given: Flags, kind: str, flag: str, default: str = "") -> list[Any]:
    """As entradas de um catálogo que uma flag nomeia; `all` são todas."""
    entries = require_catalogue(given, kind)
    return [entry for name in given.get(flag, default).split(",") for entry in (
        entries if name.lower() == "all" else [find_entry(kind, flag, name, entries)])]


def questions_of(given: Flags) -> Iterator[tuple[Question, str]]:
    """(pergunta, cenário) de cada combinação das flags."""
    check_combination(given)
    values: Json = {"concurrency": [0], "ha": ["none"]}
    values.update(values_of(given))  # antes dos catálogos: uma flag errada vale mais
    models = [hf_model(given, values)[0]] if "--hf-config" in given else named(
        given, "models", "--model")
    servers = named(given, "servers", "--server")
    if "," in given.get("--storage", ""):
        raise SizingError("--storage", "não aceita comparar: dê um só", value=given["--storage"])
    fields = {name: values[name] for name in Question.__dataclass_fields__ if name in values}
    fields.update(storage=named(given, "storage", "--storage", "profile_default")[0],
                  calibration=values.get("calibrate_tpot_ms"), concurrency=0)
    longest = False
    if not given.keys() & LOAD:
        fields.setdefault("nodes", 1)
    elif "--nodes" in given and "--effective-context" in given:
        fields["peak_headroom_ratio"] = Fraction(0)  # a carga fixa se toma ao pé da letra
    else:
        longest = "--nodes" in given
    for model, server in product(models, servers):
        default_context = 0 if longest else model.max_position_embeddings
        bases = [Question(**dict(fields, model=model, server=server, requested_context=context,
                                kv_precision=precision))
                 for context, precision in product(
                     values.get("effective_context", [default_context]),
                     values.get("kv_precision", [model.default_kv_precision]))]
        for concurrency, base, ha in product(values["concurrency"], bases, values["ha"]):
            q = base.under(concurrency=concurrency, ha_mode=ha)
            yield from scenarios_of(q) if "--scenarios" in given else [(q, "")]


def scenarios_of(q: Question) -> Iterator[tuple[Question, str]]:
    """Os três cenários: sem folga; com o pico e n+1; e com 30%, n+2 e até 65% da HBM para KV."""
    yield q.under(peak_headroom_ratio=Fraction(0), ha_mode="none"), "mínimo"
    yield q.under(ha_mode="n+1"), "recomendado"
    yield replace(q, ha_mode="n+2",
                  peak_headroom_ratio=max(q.peak_headroom_ratio, IDEAL_HEADROOM_RATIO),
                  kv_budget_ratio=min(q.kv_budget_ratio, IDEAL_KV_BUDGET_RATIO)), "ideal"


def answered(given: Flags, q: Question) -> SizingResult:
    """A resposta a uma pergunta; recusada também se uma flag não teve efeito."""
    if not q.request_fits:
        flag = "--output-tokens" if q.input_tokens is None else "--input-tokens"
        raise SizingError(flag, "com a saída de %d, não cabe no contexto de %s" % (
            q.output, plural(q.effective_context, "token")), value=str(q.input_tokens or q.output))
    refuse_useless(given, "--pue --energy-price", q.server.power_kw is None,
                   "falta power_kw no catálogo, em " + q.server.name)
    result = size(q)
    refuse_useless(given, "--input-tokens --output-tokens", result.speed_gap,
                   "não há velocidade prevista, " + result.speed_gap)
    refuse_useless(given, "--tensor-parallel --gpu-memory-utilization --weights-precision",
                   result.missing, "para o teto físico " + missing_text(result.missing))
    return result


def refuse_useless(given: Flags, flags: str, useless: Any, why: str) -> None:
    for flag in flags.split() if useless else ():
        if given.get(flag, "auto").lower() != "auto":
            raise SizingError(flag, "sem efeito: " + why)


def rows_of(given: Flags) -> list[Outcome]:
    """(pergunta, resultado ou erro, cenário) de cada combinação das flags."""
    questions = list(questions_of(given))
    rows: list[Outcome] = []
    for q, label in questions:
        try:
            rows.append((q, answered(given, q), label))
        except SizingError as error:
            rows.append((q, error, label))
        show_progress(len(rows), len(questions))
    return rows


def show_progress(done: int, total: int) -> None:
    """O andamento de uma comparação longa, num terminal."""
    if total > 250 and (done % 250 == 0 or done == total) and sys.stderr and sys.stderr.isatty():
        sys.stderr.write("\r%d de %d%s" % (done, total, "\n" if done == total else ""))
        sys.stderr.flush()


def comparison(given: Flags, rows: list[Outcome]) -> Answer:
    """A resposta a várias perguntas, na ordem pedida; os documentos, um a um."""
    first, scenario = rows[0][0], "--scenarios" in given
    sort = given.get("--sort", "").lower()
    if sort:
        rows.sort(key=lambda row: rank(row[1], sort))

    def text() -> str:
        varied = [flag for flag, (_, shown) in VARIED.items()
                  if not scenario and len({shown(q) for q, _, _ in rows}) > 1
                  and (flag != "--effective-context" or first.requested_context)]
        return comparison_text(rows, varied, sort)

    return lambda: (dict({"scenario": label} if scenario else {}, **(
        refused_json(q, outcome) if isinstance(outcome, SizingError) else json_document(outcome)))
        for q, outcome, label in rows), text


def sized(given: Flags) -> Answer:
    """A resposta à pergunta das flags; a recusa diz o que caberia."""
    rows = rows_of(given)
    errors = [outcome for _, outcome, _ in rows if isinstance(outcome, SizingError)]
    if len(errors) == len(rows):
        error = min(errors, key=lambda error: error.status != 3)
        if len(rows) > 1:
            error.expected = "nenhuma das %d combinações tem resposta; por exemplo: %s" % (
                len(rows), error.expected)
        elif error.status == 3:
            error.expected += ways_out(error, require_catalogue(given, "servers"))
        raise error
    if len(rows) > 1:
        return comparison(given, rows)
    result = rows[0][1]
    if "--explain" not in given:
        return lambda: json_document(result), lambda: text_report(result)
    parts = explanation_of(result, require_catalogue(given, "servers"))
    return (lambda: dict(json_document(result), explanation=parts),
            lambda: explanation_text(result, parts))


def standalone(given: Flags, action: str) -> Answer:
    if action == "--version":
        return lambda: {"version": __version__}, lambda: "sizing.py %s\n" % __version__
    values = values_of(given)
    if action == "--list":
        kind = values["list"]
        entries = require_catalogue(given, kind)
        return (lambda: [entry.document for entry in entries],
                lambda: catalogue_table(kind, entries))
    if action == "--validate":
        found = [(kind, *read_catalogue(given, kind)) for kind in CATALOGUES]
        problems = [str(problem) for _, _, problems in found for problem in problems]
        lines = problems or ["%s: ok, %s" % (
            given.get("--%s-file" % kind, kind + ".json"), plural(len(entries), "entrada"))
            for kind, entries, _ in found]
        return (lambda: {"schema_version": 1, "problems": problems},
                lambda: "\n".join(lines) + "\n")
    if "--hf-config" not in given:
        raise SizingError(action, "precisa de --hf-config")
    return lambda: hf_model(given, values)[1], None


def answer(given: Flags, ascii_only: bool) -> tuple[str | Iterator[str], int]:
    """(saída padrão, inteira ou aos pedaços; status) das flags."""
    if "--help" in given:
        return help_text(), 0
    action = next((flag for flag in STANDALONE if flag in given), "")
    for flag in given if action else ():
        if flag not in (action, *STANDALONE[action].split()):
            raise SizingError(flag, "não tem efeito com " + action)
    make_document, make_text = standalone(given, action) if action else sized(given)
    status = 2 if action == "--validate" and make_document()["problems"] else 0
    if make_text and not given.keys() & {"--json", "--csv"}:
        return make_text(), status
    document = make_document()
    if "--csv" in given:
        return csv_text([document] if isinstance(document, dict) else document), status
    if not isinstance(document, (dict, list)):
        return json_lines(document, ascii_only), status
    return json.dumps(document, ensure_ascii=ascii_only, indent=2) + "\n", status


# Sem estes caracteres no terminal, valem estes; das letras acentuadas fica a letra.
PLAIN = {"▓": "%", "▒": "=", "█": "#", "░": "-", "→": ">", "×": "x", "…": ".", "·": "."}


def plain_character(error: Any) -> tuple[str, int]:
    """Troca o que a codificação da saída não tem (para `codecs.register_error`)."""
    import unicodedata

    letter = error.object[error.start]
    base = unicodedata.normalize("NFKD", letter)[0]
    return PLAIN.get(letter, base if base.isascii() else "?"), error.start + 1


def complain(message: str) -> None:
    try:
        if sys.stderr is not None:
            print("sizing.py:", message, file=sys.stderr, flush=True)
    except OSError:
        pass


def main(argv: Sequence[str] | None = None) -> int:
    """Executa a linha de comando; devolve o status, 1 se a saída não pôde ser escrita."""
    utf8 = "utf" in str(getattr(sys.stdout, "encoding", "")).lower()
    codecs.register_error("plain", plain_character)
    streams: Any = (sys.stdout, sys.stderr)
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="plain")
    try:
        text, status = answer(parse_arguments(sys.argv[1:] if argv is None else argv), not utf8)
        if sys.stdout is not None:
            sys.stdout.writelines([text] if isinstance(text, str) else text)
            sys.stdout.flush()
            return status
        complain("a saída padrão está fechada")
    except SizingError as error:
        complain(str(error))
        return error.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        pass  # o leitor, como `head`, já tem o que queria
    except OSError as error:
        complain("a saída não pôde ser escrita: " + os_reason(error))
    return 1


if __name__ == "__main__":
    # Tudo já foi escrito: desmontar o interpretador custaria 10% da execução e, com a saída
    # quebrada, uma segunda mensagem.
    os._exit(main())
