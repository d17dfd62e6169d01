#!/usr/bin/env python3
"""Dimensiona servidores NVIDIA para servir um LLM: quantos nós, por quê, a que velocidade.

    python3 sizing.py --model opt-oss-120b --server dgx300 --concurrency 1000

Fórmulas, na ordem em que são calculadas (tamanhos em bytes, n tokens, b bytes por elemento):

    KV de uma sessão     Σ grupos: camadas · 2 · kv_heads · head_dim · min(n, janela) · b
    orçamento de KV      total_hbm_gb · 10⁹ · kv_budget_ratio − runtime_overhead_gib · 2³⁰
    sessões por nó       S = ⌊orçamento / KV de uma sessão⌋, até o teto físico e os objetivos
    capacidade pura      ⌈concurrency / S⌉
    com pico             ⌈concurrency · (1 + headroom) / S⌉
    com N+1, N+2         com pico + 1, com pico + 2
    TPOT                 pesos + especialistas + KV + comunicação + partida + prefill dos outros
    TTFT                 prefill de um prompt sozinho + partida + TPOT / 2

Toda conta que termina em piso ou teto usa inteiros ou frações exatas, lidas do texto decimal:
nenhum arredondamento de ponto flutuante compra ou deixa de comprar um servidor.

>>> hybrid = (KINDS["full"](18, 8, 64, 64), KINDS["sliding"](18, 8, 64, 64, 128))
>>> session_kv_bytes(hybrid, 131072, "fp8")
2418278400
>>> nodes_for(1500, Fraction("0.1"), sessions_per_unit=275)
6

O módulo se lê de cima para baixo; cada seção só usa o que está acima dela. Entre o catálogo
carregado e o texto impresso só há funções puras; `size` compõe todas elas.
"""
from __future__ import annotations

if __name__ == "__main__":
    import gc

    gc.disable()  # a execução é curta e sem ciclos: procurar lixo custaria 3% dela

import argparse
import json
import os
import re
import sys
from dataclasses import MISSING, FrozenInstanceError, dataclass, field
from fractions import Fraction
from functools import cached_property

TYPE_CHECKING = False  # importar typing custaria 5% da partida; o mypy reconhece este nome
if TYPE_CHECKING:
    from typing import (
        Any,
        Callable,
        Dict,
        Iterable,
        Iterator,
        List,
        Optional,
        Sequence,
        Tuple,
        TypeVar,
        Union,
    )

    R = TypeVar("R", bound="Record")
    Exact = Union[int, Fraction]
    MaybeInt = Optional[int]
    MaybeExact = Optional[Exact]
    Json = Dict[str, Any]
    Path = Tuple[Union[str, int], ...]
    Rule = Tuple[Callable[[Any], Any], str]
    Problem = Tuple[Path, Any, str]  # (caminho no documento, valor, esperado)
    Option = Tuple[str, bool, Any]  # (texto, faz sentido?, pergunta)
    # De uma camada: (grupos de cache, parâmetros, os que todo rank do tensor parallel repete).
    Layer = Tuple[List[Json], int, int]
    Outcome = Tuple[Any, Any, str]  # (pergunta, resultado ou erro, cenário)

__version__ = "1.0"

# ── Unidades e constantes

GB, GIB, TIB = 10**9, 2**30, 2**40  # GB dos fabricantes; GiB dos drivers e dos motores

KV_PRECISIONS = {"fp8": 1, "fp16": 2, "bf16": 2, "int8": 1}  # bytes por elemento
HA_SPARES = {"none": 0, "n+1": 1, "n+2": 2}  # nós de reserva
# Bits por parâmetro, com as escalas dos blocos: (especialistas roteados, o resto). Embeddings e
# cabeça ficam em 16; os formatos de 4 bits só quantizam os especialistas, ou as camadas lineares
# de um modelo denso.
WEIGHT_BITS: Dict[str, Tuple[Exact, Exact]] = {
    "bf16": (16, 16), "fp16": (16, 16), "fp8": (8, 8), "int8": (8, 8),
    "mxfp4": (Fraction(17, 4), 16), "nvfp4": (Fraction(9, 2), 16), "int4": (Fraction(33, 8), 16)}

# Convenção de planejamento: 70% da HBM para KV, menos 15 GiB por GPU (120 num nó de 8) para
# pesos, ativações e contexto CUDA.
DEFAULT_KV_BUDGET_RATIO = Fraction(70, 100)
DEFAULT_OVERHEAD_GIB_PER_GPU = 15
DEFAULT_PEAK_HEADROOM_RATIO = Fraction(20, 100)
DEFAULT_GPU_MEMORY_UTILIZATION = Fraction(90, 100)  # o padrão do vLLM
DEFAULT_OUTPUT_TOKENS = TURN_TOKENS = 1024

# O que o motor ocupa em cada GPU além de pesos e KV; ajustado a registros de 34 pares (modelo,
# tp), erro no README. Até a versão 0.20 os grafos CUDA ficavam fora do orçamento.
ENGINE = "vLLM >= 0.21"
SAMPLER_BYTES = (366 * 4, 100)  # 3.66 cópias fp32 de [max_num_seqs, vocab] vivas no amostrador
NON_TORCH_BYTES = GIB // 4  # contexto CUDA de uma GPU sozinha
NON_TORCH_PARALLEL_BYTES = GIB  # com NCCL e all-reduce, de duas GPUs em diante
NON_TORCH_PARALLEL_BYTES_OLD = GIB * 21 // 10  # o mesmo, de 0.17 a 0.20
CUBLAS_BYTES = GIB // 32
ENCODER_BYTES = GIB * 15 // 100  # imagens de teste de um modelo multimodal
INDEXER_BYTES = 2 * GIB  # área de trabalho da atenção esparsa (DSA)
GRAPH_BYTES = (GIB * 35 // 100, GIB * 175 // 10000, GIB * 45 // 1000)  # base; camada densa; MoE
DEFAULT_MAX_NUM_SEQS, DEFAULT_MAX_NUM_BATCHED_TOKENS = 1024, 8192
PAGE_TOKENS = 16
MAX_NODES_PER_REPLICA = 8

# Velocidade: a parte do pico do hardware que um motor alcança e os custos fixos, ajustados a
# metade de umas 2.300 medidas públicas (InferenceX e tabelas do TensorRT-LLM, pelo aiconfigurator
# da NVIDIA) e conferidos na outra; erro no README. Valores próximos se compensam (banda e tempo
# por camada; leitura e contas dos especialistas): a soma é mais certa que as parcelas.
WEIGHTS_MBU, EXPERTS_MBU, KV_MBU = 0.90, 0.70, 0.79  # da banda da HBM, ao ler cada coisa
DECODE_MFU = 0.86  # do pico denso da precisão, nas camadas densas do decode
DECODE_EXPERTS_MFU = 0.10  # nos especialistas do decode: poucas linhas em cada um
PREFILL_MFU = {"bf16": 0.71, "fp8": 0.62, "fp4": 0.36}  # nas camadas densas do prefill
PREFILL_EXPERTS_MFU = 0.19
ATTENTION_MFU = 0.60  # do pico bf16, nos pares consulta-chave
LAYER_SECONDS = 53e-6  # por camada e passo: partida dos kernels, normas
MOE_LAYER_SECONDS = 17e-6  # a mais numa camada MoE
INDEXER_LAYER_SECONDS = 105e-6  # a mais numa camada DSA; de 10 medidas do GLM-5 em B200 (SGLang)
ALL_REDUCE_SECONDS = 6e-6  # latência; são dois por camada
DECODE_LINK_RATIO, PREFILL_LINK_RATIO = 0.38, 0.53  # da banda do enlace, num sentido
PREFILL_LAYER_SECONDS = 163e-6  # por camada de um prompt sozinho
FIRST_TOKEN_SECONDS = 0.081  # servidor, tokenizador e fila do escalonador no TTFT
# Medido / previsto em 80% das medidas (a do tok/s, com uma concorrência dada).
TPOT_RANGE, TPOT_MOE_RANGE, TPOT_CALIBRATED_RANGE = (0.88, 1.20), (0.76, 1.39), (0.86, 1.14)
TTFT_RANGE, THROUGHPUT_RANGE = (0.6, 5.3), (0.76, 1.19)
MXFP4_BIAS = 0.8  # gpt-oss em B200 é 20% mais rápido que o previsto (140 medidas)
MEASURED_GPUS = {"H100", "H200", "B200", "B300", "GB200"}
MEASURED_CONTEXT = 32768  # acima disto só há tabelas interpoladas
QUEUE_RATIO = 0.70  # do tempo da réplica em prefill: daí em diante os pedidos esperam em fila

# Carga: o carregador padrão (safetensors) chega a 1-4 GB/s por nó, por mais rápido que seja o
# disco (2.3 em 8 B300, 3.2-3.4 em H100, 4.3 em 8 H200). Depois o motor ainda parte: 15-25 s num
# modelo denso pequeno, uns 90 s num MoE com os kernels em cache e até 400 s sem eles (Run:ai,
# InstantTensor, ServerlessLLM, ModelExpress).
LOADER_GBPS = 3
ENGINE_START_SECONDS = 90
RACK_UNITS, RACK_KW = 42, 45
HOURS_PER_YEAR = 8760
DEFAULT_PUE = Fraction(13, 10)

USUAL_CONTEXTS = tuple(1024 * 2**n for n in range(2, 11))  # da tabela da pergunta invertida
IDEAL_HEADROOM_RATIO, IDEAL_KV_BUDGET_RATIO = Fraction(30, 100), Fraction(65, 100)
# Limites dos avisos.
HIGH_KV_BUDGET_RATIO = Fraction(75, 100)
TIGHT_LAST_NODE_RATIO = Fraction(10, 100)
IDLE_CEILING_RATIO = Fraction(1, 3)
SLOW_TOKENS_PER_SECOND = 10
HEAVY_PREFILL_RATIO = 0.5
FAR_CALIBRATION, ABSURD_CALIBRATION = 2, 100  # medido / previsto que avisa, que é recusado

LIMITS = {"plan": "plano", "engine_memory": "memória do motor", "tpot": "TPOT", "ttft": "TTFT"}
WIDTH, MAX_LINES = 80, 24  # do relatório
GLUE = "\x00"  # um espaço em que a linha não se parte
MAX_DIGITS = 30  # de um número, e o maior expoente: basta para tudo e não deixa a conta explodir
MAX_FILE_BYTES = 64 * 2**20


# ── Erros

ABSENT: Any = object()  # distingue "sem valor" de null


class SizingError(Exception):
    """Pergunta ou catálogo errado (`status` 2) ou pergunta correta sem resposta (`status` 3).

    `where` é a flag ou o arquivo; `path` e `line`, o lugar no documento; `value`, o que foi lido;
    `expected`, o que era esperado. O texto é sempre uma linha só.
    """

    # De uma recusa de status 3: a pergunta e as opções com que caberia, calculadas se preciso.
    question: Any = None
    limit = lead = ""
    options: Callable[[], Sequence[Option]] = tuple

    def __init__(self, where: str, expected: str, *, value: Any = ABSENT, path: Path = (),
                 line: Optional[int] = None, status: int = 2) -> None:
        self.where, self.expected, self.value = where, expected, value
        self.path, self.line, self.status = path, line, status
        super().__init__(where, expected)

    def __str__(self) -> str:
        text = one_line(self.where)
        text += ", linha %d" % self.line if self.line else ""
        text += ", " + path_text(self.path) if self.path else ""
        if self.value is not ABSENT:
            text += (" = " if self.path else " ") + value_text(self.value)
        return "%s: %s" % (text, self.expected)


def one_line(text: str) -> str:
    """O texto com os caracteres de controle escapados."""
    return text if text.isprintable() else repr(text)[1:-1]


def path_text(path: Path) -> str:
    """Caminho num documento JSON: ("models", 0, "notes") é `models[0].notes`."""
    return "".join("[%d]" % key if isinstance(key, int) else "." + one_line(key)
                   for key in path).lstrip(".")


def value_text(value: Any) -> str:
    """Um valor numa mensagem: como no JSON, sem passar de 60 caracteres."""
    if isinstance(value, (dict, list)):
        return "{…}" if isinstance(value, dict) else "[…]"
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=float)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(word: str, known: Sequence[str]) -> str:
    """Sugestão para acrescentar a uma mensagem: ` (talvez 'x')`, ou nada."""
    import difflib  # só quando algo deu errado

    close = [name for name in known if len(word) > 3 and name.startswith(word.lower())]
    close = close or difflib.get_close_matches(word.lower(), known, 1)
    return " (talvez %r)" % close[0] if close else ""


# ── Números exatos e como se escrevem


def exact_decimal(text: str) -> Optional[Fraction]:
    """O valor exato de um texto decimal; None se não é um número ou se passa dos limites.

    >>> exact_decimal("0.1"), exact_decimal("1e3"), exact_decimal("1e400"), exact_decimal("nan")
    (Fraction(1, 10), Fraction(1000, 1), None, None)
    """
    if "_" in text:
        text = re.sub("(?<=[0-9])_(?=[0-9])", "", text)
    mantissa, _, exponent = text.lower().partition("e")
    digits = len(mantissa.strip("+-").replace(".", ""))
    if digits > MAX_DIGITS or len(exponent) > MAX_DIGITS or set(text) - set("0123456789.eE+-"):
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

    `accepts` não volta a aceitar depois do primeiro que recusa.

    >>> largest(100, lambda n: n * n <= 50)
    7
    """
    while low < limit:
        middle = (low + limit + 1) // 2
        if accepts(middle):
            low = middle
        else:
            limit = middle - 1
    return low


def decimal_text(value: Exact, places: int) -> str:
    """O valor com até `places` casas decimais, sem zeros à direita.

    >>> decimal_text(Fraction(705, 10), 2), decimal_text(10**30, 0)
    ('70.5', '1000000000000000000000000000000')
    """
    scaled = round(value * 10**places)
    whole, rest = divmod(abs(scaled), 10**places)
    digits = "%d.%0*d" % (whole, places, rest) if places else "%d." % whole
    return ("-" if scaled < 0 else "") + digits.rstrip("0" if places else "").rstrip(".")


def number_text(value: Union[Exact, float], digits: int = 3) -> str:
    """Um número com `digits` algarismos significativos, sem expoente.

    >>> number_text(0.12345), number_text(78.9), number_text(1234), number_text(1234, 2)
    ('0.123', '78.9', '1230', '1200')
    """
    return decimal_text(Fraction("%.*g" % (digits, float(value))), 33)


def percent_text(ratio: Exact) -> str:
    """Uma razão em porcentagem: 7/10 é `70%`."""
    return decimal_text(ratio * 100, 2) + "%"


def money_text(value: Union[Exact, float]) -> str:
    """Um valor em dinheiro: centavos só abaixo de 1000."""
    return decimal_text(Fraction(value), 0 if value >= 1000 else 2 if value >= 1 else 4)


def size_text(size_bytes: Exact) -> str:
    """Um tamanho com 5 algarismos, na unidade binária em que fica abaixo de 1024."""
    value, units = float(size_bytes), ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while abs(value) >= 1024 and len(units) > 1:
        value /= 1024
        del units[0]
    return "%.5g %s" % (value, units[0])


def seconds_text(seconds: float) -> str:
    """Uma duração: até 120 s em segundos, até 120 min em minutos, senão em horas.

    >>> seconds_text(0.0123), seconds_text(111.73), seconds_text(200), seconds_text(9000)
    ('0.0123 s', '112 s', '3.33 min', '2.5 h')
    """
    size, unit = (1, "s") if seconds <= 120 else (60, "min") if seconds <= 7200 else (3600, "h")
    return "%s %s" % (number_text(seconds / size), unit)


def plural(count: int, one: str, many: str = "") -> str:
    """`1 nó`, `2 nós`; sem `many`, acrescenta um s."""
    return "%d %s" % (count, one if count == 1 else many or one + "s")


def sessions_text(count: int) -> str:
    """`1 sessão`, `2 sessões`."""
    return plural(count, "sessão", "sessões")


def rounded(value: Union[Exact, float]) -> float:
    """Nove algarismos significativos."""
    return float("%.9g" % value)


def gib(size_bytes: Exact) -> float:
    """Bytes em GiB, para ler: a conta usa os bytes."""
    return rounded(size_bytes / GIB)


def json_number(value: Any) -> Any:
    """Uma fração como o JSON a leva: inteiro, se é um, ou float; o resto fica como está."""
    if not isinstance(value, Fraction):
        return value
    return int(value) if value.denominator == 1 else rounded(value)


def numbers(block: Json) -> Json:
    """O bloco com as frações como o JSON as leva."""
    return {name: json_number(value) for name, value in block.items()}


def folded(text: str, indent: int = 0, width: int = WIDTH) -> List[str]:
    """O texto em linhas de até `width` colunas, as seguintes recuadas."""
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
    """Uma cópia da dataclass com outros campos; o que ela já calculou fica na original."""
    fields = vars(type(record))["__dataclass_fields__"]
    kept = {name: value for name, value in vars(record).items() if name in fields}
    return type(record)(**dict(kept, **changes))


class Record:
    """Base das dataclasses do módulo: imutáveis, montadas por nome e comparadas por identidade.

    Com `frozen=True` e o construtor gerado em cada classe a partida custaria 7% mais. Os campos
    ausentes têm o valor padrão da classe.
    """

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    def __setattr__(self, name: str, value: Any = None) -> None:
        raise FrozenInstanceError(name)

    __delattr__ = __setattr__

    @cached_property
    def document(self) -> Json:
        """Os campos e o que deles se deriva, para o JSON."""
        fields = {name: getattr(self, name) for name in vars(type(self))["__dataclass_fields__"]}
        return dict(numbers(fields), **self.derived())

    def derived(self) -> Json:
        """O que o documento diz além dos campos."""
        return {}


# ── Cache KV: grupos de camadas


@dataclass(eq=False, repr=False, init=False)
class Group(Record):
    """Camadas que guardam o cache do mesmo jeito; um tipo novo de atenção só constrói outro.

    Por camada: `elements_per_token` elementos na precisão do KV, `bytes_per_token` bytes em
    precisão própria e `fixed_bytes` por sessão. Guarda um token em cada `stride`, até
    `cap_tokens` (None: todos). `shards`: em quantas GPUs o tensor parallel consegue dividi-lo.
    Cada consulta lê até `read_tokens` (None: todos os guardados) e multiplica `pair_dims`
    números por par consulta-chave e cabeça.
    """

    kind: str
    layers: int
    elements_per_token: int = 0
    bytes_per_token: int = 0
    fixed_bytes: int = 0
    cap_tokens: Optional[int] = None
    stride: int = 1
    shards: int = 1
    pair_dims: int = 0
    read_tokens: Optional[int] = None

    def session_bytes(self, context: int, element_bytes: int, page_tokens: int = 1) -> int:
        """Bytes de uma sessão nestas camadas, em páginas de `page_tokens` tokens."""
        held = context if self.cap_tokens is None else min(context, self.cap_tokens)
        held = ceil_div(held // self.stride, page_tokens) * page_tokens
        per_token = self.elements_per_token * element_bytes + self.bytes_per_token
        return self.layers * (held * per_token + self.fixed_bytes)

    def read_bytes(self, context: int, element_bytes: int) -> int:
        """Bytes que um passo de decode lê de uma sessão; o estado fixo é lido e escrito."""
        read = context if self.read_tokens is None else min(context, self.read_tokens)
        return self.session_bytes(read, element_bytes) + self.layers * self.fixed_bytes

    def pairs(self, new_tokens: int, cached_tokens: int) -> float:
        """Pares consulta-chave numa camada, de `new_tokens` tokens depois dos que estão em cache.

        Atenção completa: T²/2 + T · cache; numa janela W, a partir de W tokens, T · W.

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


def heads_group(kind: str, layers: int, kv_heads: int, k_dim: int, v_dim: int,
                cap_tokens: Optional[int] = None) -> Group:
    """K e V de cada cabeça; `v_dim` 0: V é o próprio K."""
    return Group(kind=kind, layers=layers, elements_per_token=kv_heads * (k_dim + v_dim),
                 cap_tokens=cap_tokens, shards=kv_heads, pair_dims=k_dim + (v_dim or k_dim))


def indexer_group(kind: str, layers: int, dim: int, stride: int = 1) -> Group:
    """O indexador da DSA: chave fp8 e escalas fp32 de blocos de 128, 132 bytes por token."""
    return Group(kind=kind, layers=layers, bytes_per_token=dim + 4 * ceil_div(dim, 128),
                 stride=stride, pair_dims=dim)


# Tipo → construtor; os nomes dos argumentos são os campos do grupo em `models.json`.
KINDS: Dict[str, Callable[..., Group]] = {
    "full": lambda layers, kv_heads, k_dim, v_dim: heads_group(
        "full", layers, kv_heads, k_dim, v_dim),
    # Janela deslizante: os últimos `window` tokens, nunca mais que o contexto.
    "sliding": lambda layers, kv_heads, k_dim, v_dim, window: heads_group(
        "sliding", layers, kv_heads, k_dim, v_dim, window),
    # Por blocos (Llama 4): no máximo um bloco de `chunk` tokens.
    "chunked": lambda layers, kv_heads, k_dim, v_dim, chunk: heads_group(
        "chunked", layers, kv_heads, k_dim, v_dim, chunk),
    # MLA (DeepSeek): um vetor latente por token, sem fator 2, repetido em cada GPU do tp.
    "mla": lambda layers, kv_lora_rank, qk_rope_head_dim: Group(
        kind="mla", layers=layers, elements_per_token=kv_lora_rank + qk_rope_head_dim,
        pair_dims=2 * kv_lora_rank + qk_rope_head_dim),
    "indexer": lambda layers, index_head_dim: indexer_group("indexer", layers, index_head_dim),
    # DeepSeek V4: um vetor K = V a cada `ratio` tokens, sobre as camadas de janela.
    "compressed": lambda layers, dim, ratio: Group(
        kind="compressed", layers=layers, elements_per_token=dim, stride=ratio, pair_dims=2 * dim),
    "compressed_indexer": lambda layers, index_head_dim, ratio: indexer_group(
        "compressed_indexer", layers, index_head_dim, ratio),
    # Mamba2, gated delta net, KDA: estado fixo (convolução e recorrência), sem depender de n.
    "linear": lambda layers, state_bytes, heads: Group(
        kind="linear", layers=layers, fixed_bytes=state_bytes, shards=heads),
    # Só FFN, ou com o KV de outra camada.
    "none": lambda layers: Group(kind="none", layers=layers)}
RIDERS = ("indexer", "compressed", "compressed_indexer")  # somam-se a camadas já contadas
LATENT = ("mla", "compressed")  # um vetor para todas as cabeças: cada GPU do tp o guarda inteiro


def kind_fields(kind: str) -> Tuple[str, ...]:
    """Os campos que um grupo deste tipo tem, além de `kind`."""
    code = KINDS[kind].__code__
    return code.co_varnames[:code.co_argcount]


def session_kv_bytes(groups: Sequence[Group], context: int, kv_precision: str) -> int:
    """Bytes de cache KV de uma sessão: Σ camadas · elementos por token · min(n, janela) · b.

    O fator 2 (K e V) está nos elementos por token; é a conta do `kv_cache_interface.py` do vLLM
    sem o arredondamento a páginas.

    >>> session_kv_bytes([KINDS["sliding"](36, 8, 64, 64, 128)], 64, "fp16")
    4718592
    """
    return sum(group.session_bytes(context, KV_PRECISIONS[kv_precision]) for group in groups)


# ── Catálogos
# Cada campo carrega a própria regra em `metadata`; um só verificador lê todos os catálogos.

NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/+-")

FEW: Rule = (lambda v: type(v) is int and 0 < v <= 4096, "um inteiro positivo até 4096")
COUNT: Rule = (lambda v: type(v) is int and v > 0, "um inteiro positivo")
QUANTITY: Rule = (lambda v: type(v) in (int, Fraction) and v > 0, "um número positivo")
FLAG: Rule = (lambda v: type(v) is bool, "true ou false")
GROUPS: Rule = (lambda v: isinstance(v, list) and v and all(isinstance(g, dict) for g in v),
                "uma lista de grupos de camadas")
NAME: Rule = (lambda v: isinstance(v, str) and 0 < len(v) <= 80 and NAME_CHARACTERS.issuperset(v),
              "um nome de até 80 letras, dígitos, '.', '_', '/', '+' e '-'")
NAMES: Rule = (lambda v: isinstance(v, list) and all(map(NAME[0], v)), "uma lista de nomes")
LINE: Rule = (lambda v: isinstance(v, str) and v.strip() and v.isprintable(),
              "um texto de uma linha, não vazio")
TEXT: Rule = (lambda v: bool(v) and all(isinstance(t, str) and t.strip() for t in
                                        (v if isinstance(v, list) else [v])),
              "um texto não vazio ou uma lista deles")


def one_of(*choices: str) -> Rule:
    """Regra de um campo que só aceita estes textos."""
    return lambda v: isinstance(v, str) and v in choices, "um destes: " + ", ".join(choices)


def or_null(rule: Rule) -> Rule:
    """A mesma regra, que também aceita null; o campo continua obrigatório."""
    return lambda v: v is None or rule[0](v), rule[1] + " ou null"


def checked(rule: Rule, default: Any = MISSING) -> Any:
    """Campo de catálogo com a sua regra; sem `default` é obrigatório, com None aceita null."""
    return field(metadata={"rule": rule}, **({} if default is MISSING else {"default": default}))


@dataclass(eq=False, repr=False, init=False)
class Model(Record):
    """Um LLM: o que decide o tamanho do cache KV e dos pesos (nomes do Hugging Face).

    `attention_pattern`: `full` (todo o contexto em todas as camadas), `sliding` (só a janela de
    `sliding_window` tokens), `hybrid` (`hybrid_full_layers` + `hybrid_sliding_layers`) ou
    `groups` (a lista `groups`, de `KINDS`). Os pesos são os bytes que um motor carrega:
    `weights_expert_bytes` dos especialistas roteados e `weights_dense_bytes` do resto, dos quais
    `weights_replicated_bytes` se repetem em cada GPU; `checkpoint_bytes` é o que se lê do disco.
    `params_embedding` conta o que fica em 16 bits: embeddings, cabeça e torre de visão;
    `launch_args`, o que o comando do motor pede a mais.
    """

    name: str = checked(NAME)
    num_layers: int = checked(COUNT)
    num_key_value_heads: int = checked(COUNT)
    head_dim: int = checked(COUNT)
    max_position_embeddings: int = checked(COUNT)
    attention_pattern: str = checked(one_of("full", "sliding", "hybrid", "groups"))
    default_kv_precision: str = checked(one_of(*KV_PRECISIONS))
    notes: Any = checked(TEXT)
    source: Any = checked(TEXT)
    hybrid_full_layers: MaybeInt = checked(COUNT, None)
    hybrid_sliding_layers: MaybeInt = checked(COUNT, None)
    sliding_window: MaybeInt = checked(COUNT, None)
    groups: Optional[Tuple[Json, ...]] = checked(GROUPS, None)
    aliases: Tuple[str, ...] = checked(NAMES, ())
    hf_id: Optional[str] = checked(NAME, None)
    vocab_size: MaybeInt = checked(COUNT, None)
    hidden_size: MaybeInt = checked(COUNT, None)
    num_attention_heads: MaybeInt = checked(COUNT, None)
    intermediate_size: MaybeInt = checked(COUNT, None)
    moe_layers: MaybeInt = checked(COUNT, None)
    num_experts: MaybeInt = checked(COUNT, None)
    experts_per_token: MaybeInt = checked(COUNT, None)
    moe_intermediate_size: MaybeInt = checked(COUNT, None)
    qk_nope_head_dim: MaybeInt = checked(COUNT, None)
    v_head_dim: MaybeInt = checked(COUNT, None)
    index_n_heads: MaybeInt = checked(COUNT, None)
    index_topk: MaybeInt = checked(COUNT, None)
    params_total: MaybeInt = checked(COUNT, None)
    params_active: MaybeInt = checked(COUNT, None)
    params_experts: MaybeInt = checked(COUNT, None)
    params_embedding: MaybeInt = checked(COUNT, None)
    native_precision: Optional[str] = checked(one_of(*WEIGHT_BITS), None)
    checkpoint_bytes: MaybeInt = checked(COUNT, None)
    weights_dense_bytes: MaybeInt = checked(COUNT, None)
    weights_expert_bytes: MaybeInt = checked(COUNT, None)
    weights_replicated_bytes: MaybeInt = checked(COUNT, None)
    multimodal: bool = checked(FLAG, False)
    launch_args: Optional[str] = checked(LINE, None)

    @cached_property
    def layer_groups(self) -> Tuple[Group, ...]:
        """Os grupos de camadas, da lista `groups` ou de `attention_pattern`."""
        if self.groups is None:
            heads, dim, pattern = self.num_key_value_heads, self.head_dim, self.attention_pattern
            full = heads_group("full", self.hybrid_full_layers or self.num_layers, heads, dim, dim)
            sliding = heads_group("sliding", self.hybrid_sliding_layers or self.num_layers, heads,
                                  dim, dim, self.sliding_window)
            return tuple(group for group in (full, sliding) if pattern in (group.kind, "hybrid"))
        listed = [KINDS[group["kind"]](*map(group.get, kind_fields(group["kind"])))
                  for group in self.groups]
        # A atenção esparsa só lê os `index_topk` tokens que o indexador escolhe.
        indexed = {group.stride for group in listed if "indexer" in group.kind}
        return tuple(replace(group, read_tokens=(self.index_topk or 0) * group.stride or None)
                     if group.kind in LATENT and group.stride in indexed else group
                     for group in listed)

    def derived(self) -> Json:
        """Os grupos de camadas e, se conhecidos, os GiB de pesos."""
        known, experts = self.weights_dense_bytes, self.weights_expert_bytes or 0
        return dict({"kv_groups": [group.document for group in self.layer_groups]}, **(
            {"weights_gib": gib(known + experts)} if known else {}))

    @cached_property
    def latent(self) -> bool:
        """Guarda um vetor latente, que o tensor parallel repete em cada GPU."""
        return any(group.kind in LATENT for group in self.layer_groups)

    @cached_property
    def indexer_layers(self) -> int:
        """Camadas com indexador de atenção esparsa."""
        return sum(group.layers for group in self.layer_groups if "indexer" in group.kind)

    @cached_property
    def sublayers(self) -> int:
        """Atenções mais FFNs: duas por camada; uma só nas que não têm a outra parte.

        Uma camada `none` só tem FFN; se são todas as MoE (Nemotron-H), as outras só têm atenção.
        """
        alone = sum(group.layers for group in self.layer_groups if group.kind == "none")
        return 2 * self.num_layers - (self.num_layers if alone and alone == self.moe_layers
                                      else alone)

    def attention_flops(self, new: int, cached: int) -> float:
        """FLOPs dos pares consulta-chave e dos estados lineares no prefill de `new` tokens.

        MLA na forma expandida; com DSA, na absorvida, só com os `index_topk` tokens escolhidos; o
        indexador vê todos, em fp8 (conta por metade).
        """
        total = 0.0
        for group in self.layer_groups:
            heads: float = self.num_attention_heads or 0
            dims = group.pair_dims
            if "indexer" in group.kind:
                heads = (self.index_n_heads or 0) / 2
            elif group.kind == "mla" and group.read_tokens is None:
                rope = 2 * group.elements_per_token - group.pair_dims
                dims = (self.qk_nope_head_dim or 0) + rope + (self.v_head_dim or 0)
            total += group.layers * (2 * heads * dims * group.pairs(new, cached)
                                     + 2 * group.fixed_bytes * new)
        return total

    def inconsistencies(self) -> Iterator[Problem]:
        """(campo, valor, esperado) de cada campo que contradiz outro."""
        pattern = self.attention_pattern
        for name, patterns in (
                ("sliding_window", ("sliding", "hybrid")), ("hybrid_full_layers", ("hybrid",)),
                ("hybrid_sliding_layers", ("hybrid",)), ("groups", ("groups",))):
            value = getattr(self, name)
            if (value is not None) != (pattern in patterns):
                expected = self.__dataclass_fields__[name].metadata["rule"][1]
                yield ((name,), value, "espera-se %s com attention_pattern %r"
                       % (expected if pattern in patterns else "null", pattern))
        total = (self.hybrid_full_layers or 0) + (self.hybrid_sliding_layers or 0)
        if pattern == "hybrid" and total != self.num_layers:
            yield (("hybrid_sliding_layers",), self.hybrid_sliding_layers,
                   "hybrid_full_layers + hybrid_sliding_layers dá %d, espera-se num_layers %d"
                   % (total, self.num_layers))
        for small, large in (
                ("experts_per_token", "num_experts"), ("params_active", "params_total"),
                ("params_experts", "params_total"), ("params_embedding", "params_total"),
                ("moe_layers", "num_layers"), ("num_key_value_heads", "num_attention_heads")):
            limit = getattr(self, large)
            if limit is not None and (getattr(self, small) or 0) > limit:
                yield (small,), getattr(self, small), "espera-se até %s, %d" % (large, limit)
        if self.experts_per_token and not self.num_experts:
            yield ("num_experts",), None, "espera-se um inteiro positivo com experts_per_token"
        if (self.params_experts or 0) + (self.params_embedding or 0) > (
                self.params_total or float("inf")):
            yield (("params_embedding",), self.params_embedding,
                   "com params_experts passa de params_total, %d" % (self.params_total or 0))
        yield from group_problems(self.groups or (), self.num_layers)


def group_problems(groups: Sequence[Json], num_layers: int) -> Iterator[Problem]:
    """(caminho, valor, esperado) de cada grupo malformado, ou se as camadas não se somam."""
    total, good = 0, True
    for index, group in enumerate(groups):
        path, kind = ("groups", index), group.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            yield (*path, "kind"), kind, "espera-se um destes: " + ", ".join(KINDS)
            good = False
            continue
        names = kind_fields(kind)
        wrong = [key for key in group if key not in ("kind", *names)]
        wrong += [key for key in names if type(group.get(key)) is not int
                  or group[key] < (key != "v_dim")]
        for key in wrong:
            yield ((*path, key), group.get(key),
                   "espera-se só kind e os inteiros positivos " + ", ".join(names))
        good, total = good and not wrong, total + (0 if kind in RIDERS or wrong
                                                   else group["layers"])
    if groups and good and all(group["kind"] == "none" for group in groups):
        yield ("groups",), ABSENT, "nenhum grupo guarda cache"
    elif groups and good and total != num_layers:
        yield ("groups",), total, "soma das camadas; espera-se num_layers, %d" % num_layers


@dataclass(eq=False, repr=False, init=False)
class Server(Record):
    """Um servidor (nó).

    HBM em GB de 10⁹ bytes, como no folheto, e em GiB por GPU, como o motor a vê
    (`hbm_usable_gib_per_gpu`); banda e TFLOPS densos por GPU; NVLink agregado em TB/s.
    `max_num_seqs` e `max_num_batched_tokens` são os padrões do motor nesta GPU.
    """

    name: str = checked(NAME)
    gpus: int = checked(FEW)
    hbm_per_gpu_gb: Exact = checked(QUANTITY)
    total_hbm_gb: Exact = checked(QUANTITY)
    notes: Any = checked(TEXT)
    source: Any = checked(TEXT)
    product: Optional[str] = checked(LINE, None)
    gpu: Optional[str] = checked(LINE, None)
    hbm_usable_gib_per_gpu: MaybeExact = checked(QUANTITY, None)
    hbm_bandwidth_tbps: MaybeExact = checked(QUANTITY, None)
    tflops_bf16: MaybeExact = checked(QUANTITY, None)
    tflops_fp8: MaybeExact = checked(QUANTITY, None)
    tflops_fp4: MaybeExact = checked(QUANTITY, None)
    nvlink_bandwidth_tbps: MaybeExact = checked(QUANTITY, None)
    nvlink_domain_gpus: MaybeInt = checked(COUNT, None)
    pcie_bandwidth_gbps: MaybeExact = checked(QUANTITY, None)
    system_memory_tb: MaybeExact = checked(QUANTITY, None)
    power_kw: MaybeExact = checked(QUANTITY, None)
    rack_units: MaybeInt = checked(COUNT, None)
    heat_btu_h: MaybeInt = checked(COUNT, None)
    max_num_seqs: MaybeInt = checked(COUNT, None)
    max_num_batched_tokens: MaybeInt = checked(COUNT, None)
    aliases: Tuple[str, ...] = checked(NAMES, ())

    def derived(self) -> Json:
        """A HBM total em GiB."""
        return {"total_hbm_gib": gib(self.total_hbm_gb * GB)}

    def nvlink_reaches(self, gpus: int) -> bool:
        """As GPUs de uma réplica estão no mesmo domínio NVLink."""
        return bool(self.nvlink_bandwidth_tbps) and gpus <= (self.nvlink_domain_gpus or self.gpus)

    def inconsistencies(self) -> Iterator[Problem]:
        """(campo, valor, esperado) se a HBM total ou a visível contradiz a HBM por GPU."""
        if self.total_hbm_gb != self.gpus * self.hbm_per_gpu_gb:
            yield (("total_hbm_gb",), self.total_hbm_gb, "espera-se gpus × hbm_per_gpu_gb = %s GB"
                   % decimal_text(self.gpus * self.hbm_per_gpu_gb, 6))
        if (self.hbm_usable_gib_per_gpu or 0) > self.hbm_per_gpu_gb:
            yield (("hbm_usable_gib_per_gpu",), self.hbm_usable_gib_per_gpu,
                   "espera-se até hbm_per_gpu_gb, %s" % decimal_text(self.hbm_per_gpu_gb, 6))


@dataclass(eq=False, repr=False, init=False)
class Storage(Record):
    """Um perfil de storage: de cada nó (`scope` node) ou de todos (shared).

    `throughput_*_gbps` está em GB/s (o nome do campo é histórico). O que o fornecedor não publica
    é null.
    """

    name: str = checked(NAME)
    type: str = checked(one_of("local", "network", "cloud"))
    iops_read: MaybeInt = checked(or_null(COUNT))
    iops_write: MaybeInt = checked(or_null(COUNT))
    throughput_read_gbps: Exact = checked(QUANTITY)
    throughput_write_gbps: MaybeExact = checked(or_null(QUANTITY))
    latency_read_ms_p50: MaybeExact = checked(or_null(QUANTITY))
    latency_write_ms_p50: MaybeExact = checked(or_null(QUANTITY))
    latency_read_ms_p99: MaybeExact = checked(or_null(QUANTITY))
    latency_write_ms_p99: MaybeExact = checked(or_null(QUANTITY))
    notes: Any = checked(TEXT)
    source: Any = checked(TEXT)
    scope: Optional[str] = checked(one_of("node", "shared"), None)
    aliases: Tuple[str, ...] = checked(NAMES, ())

    @property
    def shared(self) -> bool:
        """Os nós dividem o throughput; sem `scope`, o que não é local é de todos."""
        return self.scope == "shared" or (self.scope is None and self.type != "local")

    def inconsistencies(self) -> Iterator[Problem]:
        """(campo, valor, esperado) de cada latência P99 menor que a P50."""
        for kind in ("read", "write"):
            p50, p99 = (getattr(self, "latency_%s_ms_%s" % (kind, p)) for p in ("p50", "p99"))
            if p50 is not None and p99 is not None and p99 < p50:
                yield (("latency_%s_ms_p99" % kind,), p99,
                       "espera-se ao menos a P50, %s ms" % decimal_text(p50, 6))


# Catálogo → (classe das entradas, chave da lista no documento, singular em português).
CATALOGUES: Dict[str, Tuple[Any, str, str]] = {
    "models": (Model, "models", "modelo"), "servers": (Server, "servers", "servidor"),
    "storage": (Storage, "profiles", "perfil de storage")}


def load_catalogue(kind: str, file: str, data: bytes) -> Tuple[List[Any], List[SizingError]]:
    """As entradas boas de um catálogo e todos os problemas do arquivo, na ordem das linhas.

    `kind` é uma chave de `CATALOGUES`; `file` só aparece nas mensagens; `data` é o conteúdo.
    """
    try:
        document, text, duplicated = parse_json(file, data)
    except SizingError as error:
        return [], [error]
    entries, problems = check_document(kind, document)
    if not (problems or duplicated):
        return entries, []
    seen: Dict[Path, int] = {}
    repeated = set()
    for path, line in json_positions(text):
        if path in seen:
            if path[:-1] not in repeated:  # senão, já acusada no nível de cima
                problems.append((path, line, "chave repetida, já usada na linha %d" % seen[path]))
            repeated.add(path)
        seen.setdefault(path, line)
    errors = [SizingError(file, expected, value=ABSENT if path in repeated else value, path=path,
                          line=value if path in repeated else  # a que falta: a da sua entrada
                          seen.get(path, seen.get(path[:-1])))
              for path, value, expected in problems]
    return entries, sorted(errors, key=lambda error: error.line or 0)


def parse_json(file: str, data: bytes) -> Tuple[Any, str, bool]:
    """(documento, texto, há chave repetida?), com números exatos. Levanta `SizingError`.

    Um número fora dos limites, NaN ou Infinity vira float: tipo que nenhuma regra aceita.
    """
    duplicated = []

    def to_dict(pairs: List[Tuple[str, Any]]) -> Json:
        mapping = dict(pairs)
        if len(mapping) != len(pairs):
            duplicated.append(True)
        return mapping

    def to_number(digits: str) -> Any:
        value = exact_decimal(digits)
        return float(digits) if value is None else value

    try:
        text = data[3 if data.startswith(b"\xef\xbb\xbf") else 0:].decode("utf-8")
        document = json.loads(
            text, object_pairs_hook=to_dict, parse_float=to_number, parse_constant=float,
            parse_int=lambda digits: (int if len(digits) <= MAX_DIGITS else float)(digits))
    except UnicodeDecodeError as error:
        raise SizingError(file, "espera-se texto UTF-8; byte 0x%02x inválido" % data[error.start],
                          line=data.count(b"\n", 0, error.start) + 1) from None
    except json.JSONDecodeError as error:
        near = text[error.pos:error.pos + 20].split("\n")[0]
        raise SizingError(file, "JSON inválido na coluna %d, %s" % (
            error.colno, "perto de %r" % near if near else "no fim da linha"),
            line=error.lineno) from None
    except RecursionError:
        raise SizingError(file, "JSON inválido: aninhamento profundo demais") from None
    return document, text, bool(duplicated)


def json_positions(text: str) -> Iterator[Tuple[Path, int]]:
    """(caminho, linha) de cada valor de um JSON válido, na ordem do texto.

    >>> list(json_positions('{"a": [1,\\n 2]}'))
    [((), 1), (('a',), 1), (('a', 0), 1), (('a', 1), 2)]
    """
    stack: List[Any] = []  # a chave (None: ainda não lida) ou o índice em cada nível aberto
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


def check_document(kind: str, document: Any) -> Tuple[List[Any], List[Problem]]:
    """As entradas boas e os problemas (caminho, valor, esperado) de um documento de catálogo."""
    cls, root, _ = CATALOGUES[kind]
    if not isinstance(document, dict) or root not in document:
        return [], [((), ABSENT, 'espera-se um objeto {"%s": […]}' % root)]
    problems: List[Problem] = [((key,), ABSENT, "chave desconhecida, espera-se só %r" % root)
                               for key in document if key != root]
    raws = document[root]
    if not isinstance(raws, list) or not raws:
        return [], [*problems, ((root,), raws, "espera-se uma lista com entradas")]
    entries: List[Any] = []
    owners: Dict[str, Path] = {}
    for index, raw in enumerate(raws):
        path: Path = (root, index)
        entry, found = check_entry(cls, raw)
        problems += [(path + tail, value, expected) for tail, value, expected in found]
        entries += [entry] if entry else []
        for name in names_of(entry) if entry else ():
            if name.lower() in owners:
                problems.append((path, ABSENT, "nome repetido: %r já é de %s"
                                 % (name, path_text(owners[name.lower()]))))
            owners[name.lower()] = path
    return entries, problems


def names_of(entry: Any) -> Tuple[str, ...]:
    """O nome, os apelidos e o id no Hugging Face de uma entrada."""
    return (entry.name, *entry.aliases, *filter(None, [getattr(entry, "hf_id", None)]))


def check_entry(cls: Any, raw: Any) -> Tuple[Any, List[Problem]]:
    """A entrada construída (None se há problemas) e os seus problemas."""
    if not isinstance(raw, dict):
        return None, [((), raw, "espera-se um objeto {…} com os campos da entrada")]
    specs, values = cls.__dataclass_fields__, {}
    wrong: List[Problem] = []
    unknown: List[Problem] = [
        ((name,), ABSENT, "chave desconhecida" + nearest(name, list(specs)))
        for name in raw if name not in specs]
    for name, spec in specs.items():
        accepts, expected = spec.metadata["rule"]
        if name not in raw:
            if spec.default is MISSING:
                wrong.append(((), ABSENT, "falta o campo %r: %s" % (name, expected)))
        elif accepts(raw[name]):
            values[name] = tuple(raw[name]) if isinstance(raw[name], list) else raw[name]
        elif raw[name] is not None or spec.default is not None:
            wrong.append(((name,), raw[name], "espera-se " + expected))
    if wrong:
        return None, unknown + wrong
    entry = cls(**values)
    problems = unknown + list(entry.inconsistencies())
    return (None if problems else entry), problems


def find_entry(kind: str, flag: str, name: str, entries: Sequence[Any]) -> Any:
    """A entrada de nome ou apelido `name`, sem diferenciar maiúsculas. Levanta `SizingError`."""
    by_name = {known.lower(): entry for entry in entries for known in names_of(entry)}
    if name.lower() in by_name:
        return by_name[name.lower()]
    raise SizingError(flag, "%s fora do catálogo%s; --list %s mostra todos"
                      % (CATALOGUES[kind][2], nearest(name, list(by_name)), kind), value=name)


# ── config.json do Hugging Face
# Tipos de modelo e os seus traços. tied: a cabeça é o embedding se o config não diz; period:
# atenção completa a cada N camadas; window: quem usa sliding_window sem lista de camadas; wide: o
# especialista mede intermediate_size; mats: matrizes do FFN; gate: porta na saída da atenção;
# mtp: o checkpoint traz camadas MTP (dup: com cópias do embedding e da cabeça).
HF_FAMILIES = """
llama yi internlm2 internlm3 exaone seed_oss olmo olmo2 glm glm4 granite smollm3 helium
  hunyuan_v1_dense nemotron-nas
mistral ministral ministral3 phi3: window=all max_position_embeddings=131072
mixtral phimoe: window=all wide
qwen2 qwen3 qwen2_moe qwen3_moe qwen2_vl_text qwen2_5_vl_text qwen3_vl_text
  qwen3_vl_moe_text dots1: window=upper
mimo: window=upper mtp
olmo3 exaone4: period=4
deepseek bailing_moe:
qwen3_next qwen3_5_text qwen3_5_moe_text: linear=gdn gate mtp
gemma: tied
gemma2: tied period=2
gemma3_text: tied period=6 vocab_size=262208 head_dim=256 num_attention_heads=8
  num_key_value_heads=4 max_position_embeddings=131072
gemma4_text: tied
cohere: tied
cohere2: tied period=4 max_position_embeddings=131072
gpt_oss: wide period=2
llama4_text: wide chunked
deepseek_v2 deepseek_v3 deepseek_v32 kimi_k2: mtp dup
glm_moe_dsa glm4_moe_lite mistral4: mtp
glm4_moe: mtp dup
deepseek_v4: mtp
minimax_m2 olmoe granitemoe: wide
granitemoehybrid: tied wide linear=mamba2
nemotron_h: mats=2 linear=mamba2 mtp
muse_glimmer_text: gate period=4
starcoder2: tied mats=2 window=all
nemotron arcee apertus: mats=2
"""
HF_LAYERS = {"full_attention": "full", "attention": "full", "*": "full",
             "sliding_attention": "sliding", "chunked_attention": "chunked",
             "linear_attention": "linear", "mamba": "linear", "M": "linear", "moe": "moe",
             "E": "moe", "mlp": "mlp", "-": "mlp"}
# Um campo que parece de atenção ou de cache que ninguém leu, e não é destes, é recusado.
HF_SUSPECT = ("attn|attention|window|kv_|_kv|lora|ssm|mamba|compress|sparse|latent|stride|share|"
              "cla_|moe|expert|conv_|index")
HF_INERT = ("(bias|dropout|pdrop|softcapping|multipliers?|scalar?|scale|tuning|theta|in_fp32|_norm|"
            "_mod|pattern|interval|max_window_layers|chunk_size|expand|hidden_act|kernels|_dtype|"
            "topk|topk_freq|topk_offset|interleave|renormalize|mtp_iteration|bidirectional_attention|"
            "dual_chunk_attention_config|aux_loss_coef|scaling_factor|logits?|output_attentions)$|"
            "implementation|router")
# Papel de um parâmetro → os nomes pelos quais uma lista de exceções da quantização o cita.
HF_ROLES = {"attention": r"self_attn|\.attention|linear_attn|mixer", "dense": "mlp(?!.*expert)",
            "shared": "shared_expert", "experts": r"(?<!shared_)experts"}
# Como a quantização se declara, rótulo e bits com as escalas (int4: mais 16 bits por grupo).
HF_SCHEMES = r"""
^mxfp4|MXFP4|float4.g32 mxfp4 4.25
FP4|float4 nvfp4 4.5
^(fbgemm_)?fp8|FP8|float8 fp8 8.001953125
int4|(gptq|awq).*4.g int4 4
int8|(gptq|awq).*8.g int8 8
"""
HF_DTYPES = {"bfloat16": 16, "float16": 16, "half": 16, "float32": 32, "auto": 16}
# Nomes que o mesmo campo tem em arquiteturas diferentes.
HF_EXPERTS = "n_routed_experts num_experts num_local_experts moe_num_experts"
HF_HEADS = "num_attention_heads n_head n_heads"
HF_HIDDEN = "hidden_size n_embd d_model"
HF_CONTEXT = "max_position_embeddings n_positions max_seq_len model_max_length"


class HfConfig:
    """Um objeto de um config.json: toda leitura confere tipo e faixa, e anota o campo lido.

    `traits` são os de `HF_FAMILIES`, no objeto do decodificador.
    """

    def __init__(self, file: str, data: Any, path: Path = ()) -> None:
        if not isinstance(data, dict):
            raise SizingError(file, "espera-se um objeto JSON", path=path)
        self.file, self.data, self.path = file, data, path
        self.read = {"model_type", "architectures"}
        self.traits: Dict[str, str] = {}

    def fail(self, name: str, expected: str) -> SizingError:
        """O erro de um campo."""
        return SizingError(self.file, "espera-se " + expected, path=(*self.path, name),
                           value=self.data.get(name, ABSENT))

    def get(self, name: str) -> Any:
        """O valor de um campo, ou None."""
        self.read.add(name)
        return self.data.get(name)

    def count(self, names: str, default: Any = ABSENT, low: int = 1, high: int = 10**8) -> Any:
        """O inteiro do primeiro destes campos que não é nulo."""
        options = names.split()
        found = [name for name in options if self.get(name) is not None]
        if not found and default is not ABSENT:
            return default
        name = found[0] if found else options[0]
        value = self.data.get(name)
        if type(value) is not int or not low <= value <= high:
            raise self.fail(name, "um inteiro de %d a %d" % (low, high))
        return value

    def items(self, name: str) -> List[Any]:
        """Uma lista, ou vazia."""
        value = self.get(name)
        if value is not None and not isinstance(value, list):
            raise self.fail(name, "uma lista")
        return value or []

    def flag(self, name: str, default: bool = False) -> bool:
        """Um booleano."""
        value = self.get(name)
        if value not in (None, True, False) or type(value) is int:
            raise self.fail(name, "true ou false")
        return default if value is None else bool(value)

    def child(self, name: str) -> HfConfig:
        """Um objeto aninhado, ou um vazio."""
        value = self.get(name)
        return HfConfig(self.file, {} if value is None else value, (*self.path, name))

    def dtype_bits(self, names: str) -> int:
        """Bits do tipo de dado no primeiro destes campos que não é nulo; sem ele, bf16."""
        for name in names.split():
            value = self.get(name)
            text = value.replace("torch.", "") if isinstance(value, str) else value
            if isinstance(text, str) and text in HF_DTYPES:
                return HF_DTYPES[text]
            if text is not None:
                raise self.fail(name, "um destes: " + ", ".join(HF_DTYPES))
        return 16

    def shares_kv(self, i: int) -> bool:
        """A camada usa o KV de outra (Gemma 3n e 4: as últimas `num_kv_shared_layers`)."""
        return bool(i >= self.data["num_hidden_layers"] - self.count("num_kv_shared_layers", 0, 0))

    def block(self, i: int, part: str) -> Optional[HfConfig]:
        """A parte `attention` ou `ffn` da camada, se o config descreve cada uma (Nemotron NAS)."""
        blocks = self.items("block_configs")
        return HfConfig(self.file, blocks[i] if i < len(blocks) else None,
                        (*self.path, "block_configs", i)).child(part) if blocks else None

    def expert_width(self, low: int) -> Any:
        """A largura de um especialista; 0, se `low` permite, num modelo denso sem o campo."""
        return self.count("intermediate_size" if "wide" in self.traits else
                          "moe_intermediate_size intermediate_size", ABSENT if low else 0, low)


def hf_decoder(root: HfConfig) -> HfConfig:
    """O objeto do decodificador de texto, com o que herda da raiz e da família."""
    nested = next((key for key in ("text_config", "llm_config", "language_config")
                   if root.data.get(key)), None)
    c = root.child(nested) if nested else root
    inherited = ("model_type", "tie_word_embeddings", "quantization_config", "torch_dtype", "dtype")
    c.data = dict({key: root.data[key] for key in inherited if key in root.data},
                  **{key: value for key, value in c.data.items() if value is not None})
    for line in HF_FAMILIES.replace("\n  ", " ").strip().splitlines():
        names, _, words = line.partition(":")
        if c.data.get("model_type") in names.split():
            c.traits = {word.partition("=")[0]: word.partition("=")[2] for word in words.split()}
            for key, text in c.traits.items():
                if text.isdigit():
                    c.data.setdefault(key, int(text))
            return c
    raise c.fail("model_type", "uma arquitetura conhecida (ou descreva o modelo em models.json)")


def hf_kinds(c: HfConfig) -> List[str]:
    """O tipo de cada camada: pela lista do config, ou pela regra da família."""
    for name in ("layer_types", "layers_block_type", "hybrid_override_pattern"):
        listed = c.get(name)
        if listed is not None:
            good = isinstance(listed, (list, str))
            count = c.count("num_hidden_layers", len(listed) if good else ABSENT)
            if not good or len(listed) != count:
                raise c.fail(name, "uma lista com as %d camadas" % count)
            if any(not isinstance(item, str) or item not in HF_LAYERS for item in listed):
                raise c.fail(name, "camadas destes tipos: %s" % ", ".join(HF_LAYERS))
            return [HF_LAYERS[item] for item in listed]
    layers = range(c.count("num_hidden_layers num_layers n_layer", high=4096))
    if c.get("compress_ratios") is not None:
        ratios = c.items("compress_ratios")[:len(layers)]
        if len(ratios) < len(layers) or any(type(n) is not int or n < 0 for n in ratios):
            raise c.fail("compress_ratios", "um inteiro por camada")
        return ["compressed"] * len(layers)
    if "linear" in c.traits:
        interval = c.count("full_attention_interval", 4)
        return ["linear" if (i + 1) % interval else "full" for i in layers]
    if "chunked" in c.traits:
        rope = c.items("no_rope_layers") or [(i + 1) % 4 for i in layers]
        return ["chunked" if rope[i:i + 1] != [0] else "full" for i in layers]
    period = c.count("sliding_window_pattern _sliding_window_pattern",
                     int(c.traits.get("period") or 0), low=0)
    first, upper = len(layers), c.count("max_window_layers", 0, low=0)
    if c.traits.get("window") == "all":
        first = 0
    elif c.traits.get("window") and c.flag("use_sliding_window"):
        first = upper
    windowed = (c.traits.get("window") or period) and c.count(
        "sliding_window sliding_window_size", 0) > 0
    return ["sliding" if windowed and ((period and (i + 1) % period) or first <= i) else "full"
            for i in layers]


def hf_mixer(c: HfConfig, kind: str, i: int) -> Layer:
    """A atenção, ou o que está no lugar dela, da camada `i`."""
    hidden = c.count(HF_HIDDEN)
    if kind in ("moe", "mlp"):
        return [{"kind": "none"}], 0, 0
    if kind == "linear":
        return hf_recurrence(c, hidden)
    heads = c.count(HF_HEADS)
    if kind == "compressed":
        return hf_compressed(c, c.items("compress_ratios")[i], heads, hidden)
    if c.get("kv_lora_rank") is not None:
        return hf_mla(c, i, heads, hidden)
    block = c.block(i, "attention")
    if block:
        if block.flag("no_op") or block.flag("replace_with_linear"):
            return [{"kind": "none"}], hidden * hidden * block.flag("replace_with_linear"), 0
        kv_heads = max(heads // block.count("n_heads_in_group"), 1)
    else:
        kv_heads = c.count("num_key_value_heads num_kv_heads", heads)
    dim = c.count("head_dim attention_head_dim kv_channels", hidden // heads)
    if kind == "full" and c.get("global_head_dim") is not None:
        dim = c.count("global_head_dim")
        kv_heads = c.count("num_global_key_value_heads", kv_heads)
    group = {"kind": kind, "kv_heads": kv_heads, "k_dim": dim, "v_dim": dim}
    if kind == "sliding":
        group["window"] = c.count("sliding_window sliding_window_size")
    if kind == "chunked":
        group["chunk"] = c.count("attention_chunk_size")
    shared = c.flag("attention_k_eq_v") and kind == "full"
    query = hidden * heads * dim * (3 if c.flag("attn_output_gate", "gate" in c.traits) else 2)
    if c.shares_kv(i):
        return [{"kind": "none"}], query, 0
    return [group], query + hidden * kv_heads * dim * (1 if shared else 2), 0


def hf_mla(c: HfConfig, i: int, heads: int, hidden: int) -> Layer:
    """MLA, com o indexador da DSA nas camadas que o têm."""
    rank, rope, query = (c.count("kv_lora_rank"), c.count("qk_rope_head_dim"),
                         c.count("q_lora_rank", 0))
    nope, value = c.count("qk_nope_head_dim"), c.count("v_head_dim")
    down = hidden * (query + rank + rope)
    up = (query or hidden) * heads * (nope + rope) + rank * heads * (nope + value)
    groups = [{"kind": "mla", "kv_lora_rank": rank, "qk_rope_head_dim": rope}]
    types = c.items("indexer_types")
    if c.get("index_head_dim") is not None and (not types or types[i:i + 1] == ["full"]):
        dim, ways = c.count("index_head_dim"), c.count("index_n_heads")
        groups.append({"kind": "indexer", "index_head_dim": dim})
        down += query * ways * dim + hidden * dim
        up += hidden * ways
    return groups, down + up + heads * value * hidden, down


def hf_recurrence(c: HfConfig, hidden: int) -> Layer:
    """Gated delta net ou Mamba2: estado fixo, no tipo que o config dá ao estado (senão bf16)."""
    if c.traits["linear"] == "gdn":
        heads, dim = c.count("linear_num_value_heads"), c.count("linear_value_head_dim")
        keys = c.count("linear_num_key_heads") * c.count("linear_key_head_dim")
        inner, state = heads * dim, heads * dim * c.count("linear_key_head_dim")
        conv, kernel = 2 * keys + inner, c.count("linear_conv_kernel_dim")
        params = hidden * (conv + 2 * inner + 2 * heads)
    else:
        heads = c.count("mamba_num_heads mamba_n_heads")
        inner = heads * c.count("mamba_head_dim mamba_d_head")
        size = c.count("ssm_state_size mamba_d_state")
        conv = inner + 2 * c.count("n_groups mamba_n_groups") * size
        state, kernel = inner * size, c.count("conv_kernel mamba_d_conv")
        params = hidden * (conv + 2 * inner + heads)
    state_bits = c.dtype_bits("mamba_ssm_cache_dtype mamba_ssm_dtype")
    return [{"kind": "linear", "heads": heads, "state_bytes": state * state_bits // 8 + conv * (
        kernel - 1) * 2}], params + conv * kernel, 0


def hf_compressed(c: HfConfig, ratio: int, heads: int, hidden: int) -> Layer:
    """DeepSeek V4: janela em toda camada e um vetor K = V a cada `ratio` tokens."""
    dim, query, output = c.count("head_dim"), c.count("q_lora_rank"), c.count("o_lora_rank")
    groups = [{"kind": "sliding", "kv_heads": 1, "k_dim": dim, "v_dim": 0,
               "window": c.count("sliding_window")}]
    params = (hidden * (query + dim) + query * heads * dim + heads * dim * output
              + c.count("o_groups") * output * hidden)
    if ratio:
        groups.append({"kind": "compressed", "dim": dim, "ratio": ratio})
    if 0 < ratio <= 4:
        index = c.count("index_head_dim")
        groups.append({"kind": "compressed_indexer", "index_head_dim": index, "ratio": ratio})
        params += query * c.count("index_n_heads") * index
    return groups, params + 3 * hidden * dim, hidden * (query + dim)


def hf_ffn(c: HfConfig, kind: str, i: int, hidden: int) -> Dict[str, int]:
    """Parâmetros do FFN de uma camada: dense, shared, experts, router."""
    matrices = int(c.traits.get("mats") or 3) * hidden
    wide, experts = c.expert_width(0), c.count(HF_EXPERTS, 0, low=0)
    step = c.count("decoder_sparse_step interleave_moe_layer_step moe_layer_freq", 1)
    first = c.count("first_k_dense_replace num_dense_layers", 0, low=0)
    skipped = c.items("mlp_only_layers")
    if c.data["model_type"] == "nemotron_h" and kind not in ("moe", "mlp"):
        return {}
    ffn = c.block(i, "ffn")
    if ffn:
        if ffn.flag("no_op") or ffn.flag("replace_with_linear"):
            return {"dense": hidden * hidden * ffn.flag("replace_with_linear")}
        times = ffn.get("ffn_mult")
        if type(times) not in (int, Fraction) or not 0 < times < 100:
            raise ffn.fail("ffn_mult", "um número positivo")
        return {"dense": matrices * ceil_div(int(2 * times * hidden / 3), 256) * 256}
    if not experts or i < first or (i + 1) % step or i in skipped or kind == "mlp":
        double = c.flag("use_double_wide_mlp") and c.shares_kv(i)
        width = c.count("intermediate_size_mlp shared_intermediate_size", 0, low=0) or c.count(
            "intermediate_size n_inner")
        return {"dense": matrices * (1 + double) * width}
    latent = c.count("moe_latent_size", 0, low=0)
    shared = c.count("shared_expert_intermediate_size moe_shared_expert_intermediate_size "
                     "shared_intermediate_size", 0, low=0)
    copies = c.count("n_shared_experts num_shared_experts", "chunked" in c.traits, low=0)
    return {"experts": experts * (matrices // hidden * (latent or hidden) * wide),
            "shared": matrices * (shared or copies * wide),
            "router": hidden * experts + 2 * hidden * latent}


def hf_vision(root: HfConfig, hidden: int) -> int:
    """Parâmetros da torre de visão: a atenção e o FFN de um ViT e o projetor, a uns 10%."""
    v = root.child("vision_config")
    if not v.data:
        return 0
    width: int = v.count("embed_dim vt_hidden_size hidden_size")
    ffn: int = v.count("intermediate_size vt_intermediate_size")
    depth: int = v.count("depth num_hidden_layers vt_num_hidden_layers")
    return depth * width * (4 * width + 2 * ffn) + 4 * width * (4 * width + hidden)


def hf_bits(c: HfConfig) -> Dict[str, Tuple[str, Exact]]:
    """(rótulo, bits por parâmetro) de cada papel de `HF_ROLES`."""
    bits: Dict[str, Tuple[str, Exact]] = dict.fromkeys(
        HF_ROLES, ("bf16", c.dtype_bits("torch_dtype dtype")))
    q = c.child("quantization_config")
    if not q.data:
        return bits
    group = q.child("config_groups").child("group_0").child("weights")
    size, method = (group if group.data else q).count("group_size", 128), q.get("quant_method")
    found = "%s %s %s%s g%d" % (method, q.get("quant_algo"), group.get("type"),
                                group.get("num_bits") or q.get("bits"), size)
    if len(q.child("config_groups").data) > 1:
        raise q.fail("config_groups", "um só formato de pesos")
    kept = [str(item) for field in ("modules_to_not_convert", "ignore", "exclude_modules")
            for item in q.items(field) if not re.search("visi|visual|audio|mm_", str(item))]

    def is_kept(pattern: str) -> bool:
        # As exceções citam o papel em geral, ou em mais da metade das camadas.
        cited = [re.findall(r"layers\.(\d+)\.", name) for name in kept if re.search(pattern, name)]
        return [] in cited or 2 * len({layer for found in cited for layer in found}) > c.data[
            "num_hidden_layers"]

    for line in HF_SCHEMES.strip().splitlines():
        pattern, label, number = line.split()
        if re.search(pattern, found):
            scheme = label, Fraction(number) + (Fraction(16, size) if label == "int4" else 0)
            for role, name in HF_ROLES.items():
                if role == "experts" or (method != "mxfp4" and not is_kept(name)):
                    bits[role] = scheme
            if c.get("expert_dtype") == "fp4":
                bits["experts"] = "mxfp4", Fraction("4.25")
            return bits
    raise q.fail("quant_method", "fp8, mxfp4, compressed-tensors, modelopt, gptq ou awq")


def hf_layers(c: HfConfig, hidden: int) -> Tuple[List[Json], Dict[str, int], Dict[str, int]]:
    """(grupos de cache, parâmetros por papel, parâmetros da última camada).

    Além dos papéis de `hf_bits`: router (com as normas), layers e moe_layers (quantas camadas) e
    replicated (os da atenção que todo rank do tensor parallel repete).
    """
    kinds = hf_kinds(c)
    c.data["num_hidden_layers"] = len(kinds)
    groups: Dict[str, Json] = {}
    params = dict.fromkeys((*HF_ROLES, "router", "replicated", "moe_layers"), 0)
    params["layers"] = len(kinds)
    layer: Dict[str, int] = {}
    for i, kind in enumerate(kinds):
        cached, attention, replicated = hf_mixer(c, kind, i)
        layer = dict({"attention": attention, "router": 2 * hidden}, **hf_ffn(c, kind, i, hidden))
        for role, number in layer.items():
            params[role] += number
        params["replicated"] += replicated
        params["moe_layers"] += "experts" in layer
        for group in cached:
            groups.setdefault(repr(group), dict(group, layers=0))["layers"] += 1
    return list(groups.values()), params, layer


def hf_context(c: HfConfig, default: Optional[int]) -> int:
    """O contexto máximo; YaRN só estende o que `max_position_embeddings` ainda não inclui."""
    limit: int = c.count(HF_CONTEXT, default or 0)
    if not limit:
        raise c.fail("max_position_embeddings", "um inteiro positivo (ou --effective-context)")
    for name in ("rope_scaling", "rope_parameters"):
        rope = c.child(name)
        if "yarn" in (rope.get("rope_type"), rope.get("type")):
            factor = rope.get("factor")
            if type(factor) not in (int, Fraction) or not 0 < factor < 10**4:
                raise rope.fail("factor", "um número positivo")
            limit = max(limit, int(rope.count("original_max_position_embeddings", limit) * factor))
    return limit


def model_from_hf_config(file: str, config: Any, name: str, index_bytes: Optional[int] = None,
                         weights_bytes: Optional[int] = None,
                         context: Optional[int] = None) -> Json:
    """A entrada de `models.json` de um config.json já lido.

    Parâmetros contados pela arquitetura e bytes pela quantização; `weights_bytes` (informado) ou
    `index_bytes` (`total_size` do índice ao lado) valem mais; `context` é o máximo de tokens se o
    config não o diz. Levanta `SizingError` com o campo que não foi entendido: nada é adivinhado.
    """
    root = HfConfig(file, config)
    c = hf_decoder(root)
    hidden, vocab = c.count(HF_HIDDEN), c.count("vocab_size")
    groups, params, layer = hf_layers(c, hidden)
    bits, vision = hf_bits(c), hf_vision(root, hidden)
    embedding = vocab * hidden * (1 if c.flag("tie_word_embeddings", "tied" in c.traits) else 2)
    by_layer = c.count("hidden_size_per_layer_input", 0, low=0) * params["layers"]  # Gemma 3n e 4
    embedding += by_layer and by_layer * c.count("vocab_size_per_layer_input")
    params["dense"] += 3 * hidden * by_layer
    mtp = "mtp" in c.traits and c.count("num_nextn_predict_layers mtp_num_hidden_layers", int(
        c.data["model_type"] == "qwen3_next"), low=0)

    def size(counts: Dict[str, int], roles: str = "attention dense shared router") -> int:
        return sum(ceil_div(counts.get(role, 0) * bits.get(role, ("", 16))[1], 8)
                   for role in roles.split())

    experts, dense = size(params, "experts"), 2 * (embedding + vision) + size(params)
    checkpoint = dense + experts + mtp * (size(layer) + size(layer, "experts") + 4 * hidden * hidden
                                          + ("dup" in c.traits) * 4 * vocab * hidden)
    if index_bytes and abs(index_bytes - checkpoint) * 10 > checkpoint:
        raise SizingError(file, "o total_size do índice ao lado, %d, difere mais de 10%% dos %d "
                          "bytes calculados com quantization_config; informe --weights-gib"
                          % (index_bytes, checkpoint))
    given = weights_bytes or index_bytes or checkpoint
    first = next((group for group in groups if "k_dim" in group), None)
    plain_full = len(groups) == 1 and first is not None and first["kind"] == "full"
    active = embedding + sum(params[role] for role in
                             ("attention", "dense", "shared", "router", "experts"))
    entry = {
        "name": name, "num_layers": params["layers"],
        "num_attention_heads": c.count(HF_HEADS),
        "num_key_value_heads": first["kv_heads"] if first else 1,
        "head_dim": first["k_dim"] if first else c.count("qk_rope_head_dim head_dim"),
        "hidden_size": hidden, "vocab_size": vocab,
        "intermediate_size": params["dense"] and c.count("intermediate_size_mlp intermediate_size",
                                                         0),
        "max_position_embeddings": hf_context(c, context),
        "attention_pattern": "full" if plain_full else "groups",
        "groups": not plain_full and groups,
        **{key: c.count(key, 0) for key in ("qk_nope_head_dim", "v_head_dim", "index_n_heads",
                                            "index_topk")
           if c.data.get("kv_lora_rank") or c.data.get("index_topk")},
        "default_kv_precision": "fp8", "params_total": active + vision, "params_active": active,
        "params_embedding": embedding + vision, "native_precision": bits["dense"][0],
        "checkpoint_bytes": given, "weights_dense_bytes": max(dense * given // checkpoint, 1),
        "weights_replicated_bytes": size({"attention": params["replicated"]}),
        "multimodal": vision > 0,
        "notes": "Lido do config.json; parâmetros contados pela arquitetura.", "source": file}
    if params["experts"]:
        number = c.count(HF_EXPERTS)
        top = c.count("num_experts_per_tok num_experts_per_token experts_per_token top_k_experts")
        entry.update(
            moe_layers=params["moe_layers"], num_experts=number, experts_per_token=top,
            moe_intermediate_size=c.expert_width(1), params_experts=params["experts"],
            params_active=active - params["experts"] * (number - top) // number,
            native_precision=bits["experts"][0], weights_expert_bytes=experts * given // checkpoint)
    for key, value in c.data.items():
        if value and key not in c.read and re.search(HF_SUSPECT, key) and not re.search(
                HF_INERT, key):
            raise SizingError(file, "campo de atenção ou de cache que não é entendido",
                              path=(*c.path, key), value=value)
    return {key: value for key, value in entry.items() if value}


# ── A pergunta


@dataclass(eq=False, repr=False, init=False)
class Question(Record):
    """O que se pergunta: as entradas dos catálogos, a carga e as escolhas de planejamento.

    Razões são frações exatas e `runtime_overhead_gib` é por nó. Dos `requested_context` tokens de
    uma sessão, cada pedido calcula `input_tokens` (None: as duas pontas, prompt novo e prefixo em
    cache) e gera `output_tokens` (None: o padrão).
    """

    model: Model
    server: Server
    storage: Storage
    requested_context: int  # 0: o maior que couber
    kv_precision: str
    runtime_overhead_gib: Exact
    concurrency: int = 0  # 0: a de requests_per_second, ou a maior que couber
    kv_budget_ratio: Fraction = DEFAULT_KV_BUDGET_RATIO
    peak_headroom_ratio: Fraction = DEFAULT_PEAK_HEADROOM_RATIO
    ha_mode: str = "none"
    gpu_memory_utilization: Fraction = DEFAULT_GPU_MEMORY_UTILIZATION
    tensor_parallel: Optional[int] = None  # None: o leiaute que compra menos nós
    weights_precision: Optional[str] = None  # None: a do checkpoint
    input_tokens: Optional[int] = None
    output_tokens: Optional[int] = None
    max_tpot_ms: Optional[float] = None
    max_ttft_ms: Optional[float] = None
    requests_per_second: Optional[Fraction] = None
    nodes: Optional[int] = None  # None: quantos forem precisos
    calibration: Optional[Tuple[float, int]] = None  # TPOT medido: (ms, sessões na réplica)
    tpot_scale: float = 1.0  # medido / previsto, da calibração
    pue: Fraction = DEFAULT_PUE
    node_price: Optional[Exact] = None
    energy_price: Optional[Exact] = None  # por kWh
    years: Optional[Exact] = None

    @property
    def asks(self) -> str:
        """O que se quer saber: nodes, sessions, context, ou load (se a carga cabe nos nós)."""
        if not (self.concurrency or self.requests_per_second):
            return "sessions"
        return "nodes" if self.nodes is None else "load" if self.requested_context else "context"

    def under(self, **load: Any) -> Question:
        """A mesma pergunta com outros `concurrency`, `ha_mode`, `peak_headroom_ratio` ou `nodes`.

        Nada do que se guarda calculado depende deles: leiautes e velocidades valem para as duas.
        """
        for name in ("memory", "kv_bytes", "budget_bytes", "other_end"):
            getattr(self, name)  # calculado aqui, para que as cópias o levem
        other = Question.__new__(Question)
        vars(other).update(vars(self), **load)
        return other

    @cached_property
    def memory(self) -> Dict[Any, Any]:
        """O que já se calculou desta pergunta, seja qual for a carga: leiautes e velocidades."""
        return {}

    @cached_property
    def effective_context(self) -> int:
        """Tokens por sessão, até o máximo do modelo."""
        limit = self.model.max_position_embeddings
        return min(self.requested_context or limit, limit)

    @cached_property
    def element_bytes(self) -> int:
        """Bytes de um elemento do cache KV."""
        return KV_PRECISIONS[self.kv_precision]

    @property
    def spares(self) -> int:
        """Unidades de reserva."""
        return HA_SPARES[self.ha_mode]

    @cached_property
    def max_num_seqs(self) -> int:
        """Sequências que um motor admite por padrão."""
        return self.server.max_num_seqs or DEFAULT_MAX_NUM_SEQS

    @cached_property
    def max_num_batched_tokens(self) -> int:
        """Tokens que um motor calcula de uma vez, por padrão."""
        return self.server.max_num_batched_tokens or DEFAULT_MAX_NUM_BATCHED_TOKENS

    @cached_property
    def precision(self) -> str:
        """A precisão dos pesos."""
        return self.weights_precision or self.model.native_precision or "bf16"

    @cached_property
    def timed(self) -> bool:
        """A velocidade entra na conta dos nós."""
        asked = (self.max_tpot_ms, self.max_ttft_ms, self.requests_per_second)
        return any(value is not None for value in asked)

    @cached_property
    def checkpoint_bytes(self) -> int:
        """Bytes de pesos que um nó lê ao partir; 0 se o catálogo não diz."""
        if self.precision == self.model.native_precision and self.model.checkpoint_bytes:
            return self.model.checkpoint_bytes
        known = self.model.weights_dense_bytes or self.weights_precision
        return sum(weight_bytes(self.model, self.weights_precision)) if known else (
            self.model.checkpoint_bytes or 0)

    @cached_property
    def output(self) -> int:
        """Tokens gerados por pedido: os pedidos, ou até 1024 e até metade do contexto."""
        return self.output_tokens or max(1, min(DEFAULT_OUTPUT_TOKENS,
                                                self.effective_context // 2))

    @property
    def request_fits(self) -> bool:
        """Entrada e saída cabem no contexto; sem `input_tokens`, sobra um token de entrada."""
        spare = self.effective_context - self.output - (self.input_tokens or 0)
        return spare >= (self.input_tokens is None and self.effective_context > 1)

    @cached_property
    def inputs(self) -> Tuple[int, ...]:
        """Tokens novos por pedido: os pedidos, ou as duas pontas de uma carga real.

        A primeira é a dos objetivos: todo o contexto é prompt novo; a outra, uma volta de
        conversa sobre o prefixo em cache.
        """
        fresh = self.effective_context - self.output
        if self.input_tokens is not None:
            return (self.input_tokens,)
        return (fresh, TURN_TOKENS) if fresh > TURN_TOKENS else (fresh,)

    @cached_property
    def other_end(self) -> Optional[Question]:
        """A pergunta na outra ponta, com o prefixo em cache, sem a carga; None se só há uma."""
        return replace(self, input_tokens=self.inputs[1]) if len(self.inputs) > 1 else None

    @property
    def turn(self) -> Optional[Question]:
        """A pergunta na outra ponta da carga; None se só há uma."""
        return self.other_end and self.other_end.under(
            concurrency=self.concurrency, ha_mode=self.ha_mode, nodes=self.nodes,
            peak_headroom_ratio=self.peak_headroom_ratio)

    @cached_property
    def cached(self) -> int:
        """Tokens do contexto que já estão em cache na carga dos objetivos."""
        return self.effective_context - self.output - self.inputs[0]

    @cached_property
    def prompt_flops(self) -> float:
        """FLOPs de atenção do prefill de um pedido, na carga dos objetivos."""
        return self.model.attention_flops(self.inputs[0], self.cached)

    @cached_property
    def kv_bytes(self) -> int:
        """Bytes de KV de uma sessão."""
        return session_kv_bytes(self.model.layer_groups, self.effective_context, self.kv_precision)

    @cached_property
    def usable_bytes(self) -> int:
        """Bytes de cada GPU que o motor pode usar."""
        visible = Fraction(self.server.hbm_usable_gib_per_gpu or 0) * GIB
        return self.gpu_memory_utilization * visible // 1

    @cached_property
    def budget_bytes(self) -> Fraction:
        """Bytes de HBM de um nó planejados para KV; negativo se a reserva passa dessa fatia.

        total_hbm_gb · 10⁹ · kv_budget_ratio − runtime_overhead_gib · 2³⁰.
        """
        return Fraction(self.server.total_hbm_gb * GB * self.kv_budget_ratio
                        - self.runtime_overhead_gib * GIB)

    def plan_sessions(self, nodes: int) -> int:
        """Sessões que o plano admite em `nodes` nós."""
        budget = self.budget_bytes  # em inteiros: a conta se repete em cada linha comparada
        return max(0, nodes * budget.numerator // (budget.denominator * self.kv_bytes))


# ── Pesos, leiautes e o teto físico


def missing_for_ceiling(q: Question) -> List[str]:
    """Os campos que faltam nos catálogos para calcular o teto físico."""
    moe = bool(q.model.num_experts or q.model.weights_expert_bytes)
    names = ["vocab_size", "hidden_size", "num_attention_heads"]
    if q.precision != q.model.native_precision and q.weights_precision:
        # Sem eles, o que fica em 16 bits contaria como convertido: pesos de menos.
        names += ["params_total", "params_embedding"] + ["params_experts"] * moe
    else:
        names.append("weights_dense_bytes")
    if moe:
        names += ["num_experts", "experts_per_token", "moe_intermediate_size",
                  "weights_expert_bytes"]
    missing = [name for name in names if getattr(q.model, name) is None]
    return missing + ["hbm_usable_gib_per_gpu"] * (q.server.hbm_usable_gib_per_gpu is None)


def weight_bytes(model: Model, precision: Optional[str]) -> Tuple[int, int]:
    """(bytes densos, bytes dos especialistas roteados): os do checkpoint, ou pelos parâmetros."""
    if precision in (None, model.native_precision):
        return model.weights_dense_bytes or 0, model.weights_expert_bytes or 0
    experts, embedding = model.params_experts or 0, model.params_embedding or 0
    expert_bits, dense_bits = WEIGHT_BITS[precision or ""]
    linear = (model.params_total or 0) - experts - embedding
    return (2 * embedding + ceil_div(linear * (dense_bits if experts else expert_bits), 8),
            ceil_div(experts * expert_bits, 8))


def weight_parts(q: Question, tp: int, dp: int) -> Dict[str, Exact]:
    """Bytes de pesos: densos, os que cada GPU repete, especialistas e o arredondamento destes.

    Repetem-se as projeções de entrada da MLA e a tabela do RoPE. Os kernels MXFP4 arredondam a
    fatia de cada especialista: hidden a 256 e a largura a 128 (256 nas GPUs com FP4).
    """
    model = q.model
    dense, experts = weight_bytes(model, q.weights_precision)
    hidden, width = model.hidden_size or 1, model.moe_intermediate_size or 1
    padding: Exact = 1
    if q.precision == "mxfp4" and experts:
        tile, split = (256 if q.server.tflops_fp4 else 128), (tp if dp == 1 else 1)
        padding = Fraction(ceil_div(hidden, 256) * 256 * ceil_div(ceil_div(width, split), tile)
                           * tile * split, hidden * width)
    return {"dense_bytes": dense, "expert_bytes": experts, "expert_padding": padding,
            "replicated_bytes": min(dense, model.weights_replicated_bytes or 0),
            "rope_bytes": 2 * model.max_position_embeddings * model.head_dim}


def weights_per_gpu(q: Question, tp: int, dp: int) -> int:
    """Bytes de pesos em cada GPU: densos / tp, especialistas / (tp · dp) e o que se repete."""
    parts = weight_parts(q, tp, dp)
    replicated = int(parts["replicated_bytes"])
    return (ceil_div(parts["dense_bytes"] - replicated, tp) + replicated + int(parts["rope_bytes"])
            + ceil_div(parts["expert_bytes"] * parts["expert_padding"], tp * dp))


def activation_parts(q: Question, tp: int, dp: int, max_num_seqs: int) -> Dict[str, int]:
    """Bytes das ativações em cada GPU; `sampler_bytes` e `ffn_bytes` não vivem juntos.

    O amostrador guarda cópias fp32 dos logits de `max_num_seqs` sequências; a área do FFN é a de
    `max_num_batched_tokens` tokens.
    """
    model, tokens = q.model, q.max_num_batched_tokens
    hidden, width = model.hidden_size or 0, ceil_div(model.moe_intermediate_size or 0, tp * dp)
    routed = model.num_experts and q.precision != "mxfp4"
    return {
        "sampler_bytes": 2 * tokens * hidden + ceil_div(
            SAMPLER_BYTES[0] * max_num_seqs * (model.vocab_size or 0), SAMPLER_BYTES[1]),
        "ffn_bytes": 2 * tokens * (ceil_div(3 * (model.intermediate_size or 0), tp) + 3 * hidden),
        "moe_bytes": 2 * tokens * (model.experts_per_token or 0) * (
            max(2 * width, hidden) + width) if routed else 0,
        "encoder_bytes": ENCODER_BYTES if model.multimodal else 0,
        "indexer_bytes": INDEXER_BYTES if model.indexer_layers else 0}


def runtime_per_gpu(q: Question, tp: int, dp: int, max_num_seqs: int,
                    graphs: bool = True) -> Tuple[int, int, int]:
    """Bytes do motor em cada GPU: (ativações, contexto CUDA e NCCL, grafos CUDA).

    `graphs` falso é o vLLM 0.17 a 0.20.
    """
    model, parts = q.model, activation_parts(q, tp, dp, max_num_seqs)
    activation = CUBLAS_BYTES + sum(parts.values()) - min(parts["sampler_bytes"],
                                                          parts["ffn_bytes"])
    parallel = NON_TORCH_PARALLEL_BYTES if graphs else NON_TORCH_PARALLEL_BYTES_OLD
    base, dense_layer, moe_layer = GRAPH_BYTES
    captured = base + model.num_layers * (moe_layer if model.num_experts else dense_layer)
    return activation, parallel if tp * dp > 1 else NON_TORCH_BYTES, captured if graphs else 0


@dataclass(eq=False, repr=False, init=False)
class Layout(Record):
    """Como uma réplica ocupa as GPUs e o que cabe nela; bytes por GPU.

    `data_parallel` > 1 é a atenção em data parallel: pesos densos em cada GPU, especialistas
    espalhados por todas, cada GPU com as suas sessões. Uma unidade é um nó, ou os nós de uma
    réplica.
    """

    tensor_parallel: int
    data_parallel: int
    nodes_per_unit: int
    gpus: int  # de uma réplica
    replicas_per_unit: int
    usable_bytes: int
    weights_bytes: int
    runtime_parts: Tuple[int, int, int]  # ativações, contexto CUDA e NCCL, grafos CUDA
    runtime_bytes: int
    kv_capacity_bytes: int  # negativo se nem os pesos cabem
    session_bytes: int
    sessions_per_replica: int
    sessions_per_unit: int  # as que o motor admite

    def __str__(self) -> str:
        return "dp %d" % self.data_parallel if self.data_parallel > 1 else (
            "tp %d" % self.tensor_parallel)


def fit_layout(q: Question, tp: int, dp: int, nodes: int) -> Layout:
    """O leiaute com o maior número de sessões que cabem, em páginas de `PAGE_TOKENS` tokens.

    Acima de `max_num_seqs` sequências, cada sessão a mais também aumenta o amostrador.
    """
    weights, default = weights_per_gpu(q, tp, dp), q.max_num_seqs
    session = sum(ceil_div(group.session_bytes(q.effective_context, q.element_bytes, PAGE_TOKENS),
                           min(tp, group.shards)) for group in q.model.layer_groups)
    free, runtime = q.usable_bytes - weights, runtime_per_gpu(q, tp, dp, default)
    sessions = max(0, (free - sum(runtime)) // session)
    if sessions > default:
        sessions = largest(sessions, lambda n: n * session <= free - sum(
            runtime_per_gpu(q, tp, dp, n)), default)
        runtime = runtime_per_gpu(q, tp, dp, sessions)
    replicas = nodes * q.server.gpus // (tp * dp)
    return Layout(
        tensor_parallel=tp, data_parallel=dp, nodes_per_unit=nodes, gpus=tp * dp,
        replicas_per_unit=replicas, usable_bytes=q.usable_bytes, weights_bytes=weights,
        runtime_parts=runtime, runtime_bytes=sum(runtime), kv_capacity_bytes=free - sum(runtime),
        session_bytes=session, sessions_per_replica=sessions * dp,
        sessions_per_unit=sessions * dp * replicas)


def layouts_of(q: Question, nodes: int) -> List[Layout]:
    """Os leiautes de `nodes` nós. Levanta `SizingError` se o tp pedido não serve."""
    gpus, asked, groups = nodes * q.server.gpus, q.tensor_parallel, q.model.layer_groups
    # As cabeças se dividem por tp; as de KV também, ou se repetem um número inteiro de vezes.
    ways = [tp for tp in (range(1, gpus + 1) if nodes == 1 else [gpus])
            if (q.model.num_attention_heads or 0) % tp == 0
            and all(group.shards % tp == 0 or tp % group.shards == 0 for group in groups)]
    if asked and nodes == 1 and asked not in ways:
        raise SizingError("--tensor-parallel", "espera-se um destes, para %s em %s: %s" % (
            q.model.name, q.server.name, ", ".join(map(str, ways))), value=asked)
    pairs = [(tp, 1) for tp in ways if asked in (None, tp)]
    if q.model.latent and q.model.num_experts and gpus > 1 and asked in (None, 1):
        pairs.append((1, gpus))
    return [fit_layout(q, tp, dp, nodes) for tp, dp in pairs]


def wide_layouts(q: Question) -> List[Layout]:
    """Os leiautes de réplicas de 2 a 8 nós."""
    return [layout for nodes in range(2, MAX_NODES_PER_REPLICA + 1)
            for layout in layouts_of(q, nodes)]


def unit_layouts(q: Question) -> List[Layout]:
    """Os leiautes de um nó; se nenhum admite uma sessão, os de réplicas de vários nós também."""
    if "layouts" not in q.memory:
        layouts = layouts_of(q, 1)
        if not any(layout.sessions_per_unit for layout in layouts):
            layouts += wide_layouts(q)
            layouts = [layout for layout in layouts if layout.sessions_per_unit] or layouts
        q.memory["layouts"] = layouts
    return list(q.memory["layouts"])


# ── Velocidade: decode, prefill e objetivos


def missing_for_speed(q: Question) -> List[str]:
    """Os campos que faltam nos catálogos para prever a velocidade."""
    kinds = {group.kind for group in q.model.layer_groups}
    names = ["params_total", "params_embedding"]
    names += ["params_experts", "moe_layers"] if q.model.num_experts else []
    names += ["qk_nope_head_dim", "v_head_dim"] if "mla" in kinds else []
    names += ["index_n_heads", "index_topk"] if q.model.indexer_layers else []
    missing = [name for name in names if getattr(q.model, name) is None]
    names = ["hbm_bandwidth_tbps", "tflops_bf16"]
    if q.server.gpus > 1 and not q.server.nvlink_reaches(q.server.gpus):
        names.append("pcie_bandwidth_gbps")
    return missing + [name for name in names if getattr(q.server, name) is None]


def tensor_peak(server: Server, precision: str) -> Tuple[float, float]:
    """(FLOP/s densos, parte alcançada no prefill) na precisão em que a GPU calcula estes pesos.

    A dos pesos, se a GPU a tem; senão 16 bits. Blackwell calcula MXFP4 em fp8.
    """
    unit = {"fp8": "fp8", "nvfp4": "fp4", "mxfp4": "fp8" if server.tflops_fp4 else "bf16"}.get(
        precision, "bf16")
    if getattr(server, "tflops_" + unit) is None:
        unit = "bf16"
    return float(getattr(server, "tflops_" + unit)) * 1e12, PREFILL_MFU[unit]


def mxfp4_bias(q: Question) -> Tuple[float, float]:
    """(fator sobre o TPOT previsto, fator sobre o pé da faixa): 1, salvo o gpt-oss em Blackwell.

    Em B200 o viés foi medido; noutra GPU com FP4 só alarga a faixa, porque não há medida.
    """
    native = q.model.native_precision == q.precision == "mxfp4"
    if not native or not q.server.tflops_fp4 or q.model.latent:
        return 1.0, 1.0
    return (MXFP4_BIAS, 1.0) if "B200" in (q.server.gpu or "").split() else (1.0, MXFP4_BIAS)


@dataclass(eq=False, repr=False, init=False)
class Speed(Record):
    """Os tempos de uma réplica sob uma carga, em segundos; `sessions` são as da réplica inteira."""

    terms: Dict[str, float]  # as grandezas das fórmulas, para --explain
    parts: Dict[str, Tuple[float, float]]  # parcela → (por passo, por sequência da GPU)
    experts_seconds: float  # ler todos os especialistas
    untouched: float  # 1 - k/E
    data_parallel: int
    output: int
    spread_seconds: float  # do prefill, a parte que não é atenção
    prefill_seconds: float  # de um pedido entre os outros
    alone_seconds: float  # de um prompt numa réplica ociosa
    scale: float  # viés medido e calibração, sobre todas as parcelas do TPOT

    @cached_property
    def totals(self) -> Tuple[float, float]:
        """As parcelas somadas: (por passo, por sequência da GPU)."""
        fixed, each = zip(*self.parts.values())
        return sum(fixed), sum(each)

    def loaded(self, sessions: int) -> Tuple[float, float, float]:
        """(sequências da GPU, s a ler especialistas, s de prefill dos outros) em cada token.

        Dos especialistas lê-se a parte que as sessões tocam, 1 - (1 - k/E)^sessões. Enquanto um
        pedido gera os seus tokens, cada um dos outros faz um prefill, que o interrompe.
        """
        rows = sessions / self.data_parallel
        return (rows if rows > 1 else 1.0, self.experts_seconds * (1 - self.untouched**sessions),
                self.prefill_seconds * (sessions - 1) / self.output)

    def breakdown_ms(self, sessions: int) -> Dict[str, float]:
        """As parcelas do TPOT."""
        rows, experts, prefill = self.loaded(sessions)
        times = {part: fixed + each * rows for part, (fixed, each) in self.parts.items()}
        times["experts"] += experts
        times["prefill_interference"] = prefill
        return {part: 1e3 * self.scale * seconds for part, seconds in times.items()}

    def tpot_ms(self, sessions: int) -> float:
        """Milissegundos por token de cada sessão: a soma das parcelas, sem separá-las."""
        fixed, each = self.totals
        rows, experts, prefill = self.loaded(sessions)
        return 1e3 * self.scale * (fixed + each * rows + experts + prefill)

    def ttft_ms(self, sessions: int) -> float:
        """Milissegundos até o primeiro token, sem fila: prefill e meio passo de espera."""
        return 1e3 * (FIRST_TOKEN_SECONDS + self.alone_seconds) + self.tpot_ms(sessions) / 2

    def prefill_ratio(self, sessions: int) -> float:
        """A parte do tempo da réplica gasta em prefill."""
        return 1e3 * self.scale * self.loaded(sessions)[2] / self.tpot_ms(sessions)

    def latency_seconds(self, sessions: int) -> float:
        """Segundos de um pedido, do envio ao último token."""
        return (self.ttft_ms(sessions) + (self.output - 1) * self.tpot_ms(sessions)) / 1e3

    def saturated_tokens_per_second(self, sessions: int) -> float:
        """Tokens por segundo da réplica sempre cheia, com `sessions` em andamento."""
        own = self.scale * self.prefill_seconds / self.output
        return sessions / (self.tpot_ms(sessions) / 1e3 + own)

    def missed(self, q: Question, sessions: int) -> str:
        """O objetivo que uma réplica com estas sessões não atende, `tpot` ou `ttft`, ou nada.

        Com pedidos em fila não há TTFT a prever: nenhum objetivo de TTFT é atendido.
        """
        if q.max_tpot_ms is not None and self.tpot_ms(sessions) > q.max_tpot_ms:
            return "tpot"
        late = q.max_ttft_ms is not None and (
            self.ttft_ms(sessions) > q.max_ttft_ms or self.prefill_ratio(sessions) >= QUEUE_RATIO)
        return "ttft" if late else ""


def speed_terms(q: Question, layout: Layout) -> Dict[str, float]:
    """As grandezas das fórmulas da velocidade: parâmetros, bytes lidos, FLOPs e os picos da GPU.

    O contexto é o da sessão no meio da geração; o que não é entrada nem saída já está em cache.
    """
    model, server, tp, gpus = q.model, q.server, layout.tensor_parallel, layout.gpus
    embedding, experts = model.params_embedding or 0, model.params_experts or 0
    dense_bytes, expert_bytes = weight_bytes(model, q.weights_precision)
    head, linear = (model.hidden_size or 0) * (model.vocab_size or 0), (
        model.params_total or 0) - embedding - experts
    linear_bytes, mean = max(0, dense_bytes - 2 * embedding), q.effective_context - q.output // 2
    expert_peak, _ = tensor_peak(server, q.precision)
    # As camadas densas de um MoE podem ter outra precisão: a que os seus bytes mostram.
    dense_peak, dense_mfu = tensor_peak(server, q.precision if (
        not experts or 8 * linear_bytes < 6 * linear or q.precision in ("int4", "int8")) else (
        "fp8" if 8 * linear_bytes < 12 * linear else "bf16"))
    link = (float(server.nvlink_bandwidth_tbps or 0) * 1e12 / server.gpus / 2
            if server.nvlink_reaches(gpus) else float(server.pcie_bandwidth_gbps or 0) * GB)
    return {
        "linear_params": linear, "head_params": head, "expert_params": experts,
        "weights_read_bytes": linear_bytes + 2 * head, "expert_bytes": expert_bytes,
        "kv_read_bytes": sum(group.read_bytes(mean, q.element_bytes) / min(tp, group.shards)
                             for group in model.layer_groups),
        "absorbed_flops": sum(
            2 * (model.num_attention_heads or 0) * group.pair_dims * group.layers
            * min(mean, group.read_tokens or mean) / group.stride
            for group in model.layer_groups if group.kind in LATENT),
        "attention_flops": q.prompt_flops, "blocks": model.sublayers,
        "touched_ratio": (model.experts_per_token or 0) / (model.num_experts or 1),
        "hbm_bandwidth": float(server.hbm_bandwidth_tbps or 0) * 1e12, "link_bandwidth": link or 1,
        "bf16_flops": float(server.tflops_bf16 or 0) * 1e12, "dense_flops": dense_peak,
        "expert_flops": expert_peak, "dense_prefill_mfu": dense_mfu, "replica_gpus": gpus}


def speed_of(q: Question, layout: Layout) -> Speed:
    """Os tempos de uma réplica na carga dos objetivos: ler pesos e KV, calcular, comunicar, partir.

    tp divide as camadas densas e as cabeças; tp · dp, os especialistas. Equações no README.
    """
    model, tp, gpus, t = q.model, layout.tensor_parallel, layout.gpus, speed_terms(q, layout)
    bandwidth, attention_flops = t["hbm_bandwidth"], t["bf16_flops"] * ATTENTION_MFU
    blocks, experts = t["blocks"], t["expert_params"] * t["touched_ratio"] / t["expert_flops"]
    wait = blocks * ALL_REDUCE_SECONDS if gpus > 1 else 0.0
    # Segundos por token: 2 bytes por elemento, ida e volta.
    sent = (blocks * 4 * (model.hidden_size or 0) * (gpus - 1) / gpus / t["link_bandwidth"]
            if gpus > 1 else 0.0)
    parts = {
        "weights": (t["weights_read_bytes"] / tp / (bandwidth * WEIGHTS_MBU),
                    2 * (t["linear_params"] / t["dense_flops"] + t["head_params"] / t["bf16_flops"])
                    / tp / DECODE_MFU),
        "experts": (0.0, 2 * experts / tp / DECODE_EXPERTS_MFU),
        "kv": (0.0, t["kv_read_bytes"] / (bandwidth * KV_MBU)
               + t["absorbed_flops"] / tp / attention_flops),
        "communication": (wait, sent / DECODE_LINK_RATIO),
        "launch": (blocks / 2 * LAYER_SECONDS + (model.moe_layers or 0) * MOE_LAYER_SECONDS
                   + model.indexer_layers * INDEXER_LAYER_SECONDS, 0.0)}
    experts_seconds = t["expert_bytes"] / gpus / (bandwidth * EXPERTS_MBU)
    spread = q.inputs[0] * (
        2 * (t["linear_params"] / t["dense_flops"] / t["dense_prefill_mfu"]
             + experts / PREFILL_EXPERTS_MFU) / gpus + sent / PREFILL_LINK_RATIO)
    attention = t["attention_flops"] / attention_flops
    alone = max(spread + attention / tp, parts["weights"][0] + experts_seconds)
    return Speed(
        terms=t, parts=parts, experts_seconds=experts_seconds, untouched=1 - t["touched_ratio"],
        data_parallel=layout.data_parallel, output=q.output, spread_seconds=spread,
        prefill_seconds=spread + attention / gpus,
        alone_seconds=q.tpot_scale * (alone + blocks / 2 * PREFILL_LAYER_SECONDS + wait),
        scale=mxfp4_bias(q)[0] * q.tpot_scale)


def known_speed(q: Question, layout: Layout) -> Speed:
    """`speed_of`, calculado uma vez por leiaute."""
    if layout not in q.memory:
        q.memory[layout] = speed_of(q, layout)
    speed: Speed = q.memory[layout]
    return speed


def interval(estimate: float, low: float, high: float) -> Dict[str, float]:
    """Uma previsão e a sua faixa, de fatores sobre ela."""
    return {"estimate": rounded(estimate), "low": rounded(estimate * low),
            "high": rounded(estimate * high)}


def performance_of(q: Question, layout: Layout, speed: Speed, nodes: int, sessions: int) -> Json:
    """A velocidade da réplica mais cheia, com `sessions` sessões espalhadas por `nodes` nós.

    As faixas são as de 80% das medidas. Com os pedidos em fila não há TTFT.
    """
    fullest = ceil_div(sessions, nodes * layout.replicas_per_unit)
    low, high = TPOT_MOE_RANGE if q.model.num_experts else TPOT_RANGE
    low, high = TPOT_CALIBRATED_RANGE if q.calibration else (low * mxfp4_bias(q)[1], high)
    parts, tpot = speed.breakdown_ms(fullest), speed.tpot_ms(fullest)
    prefill_ratio = parts["prefill_interference"] / tpot
    case = {
        "input_tokens": q.inputs[0], "cached_tokens": q.cached, "nodes": nodes,
        "sessions": sessions, "sessions_per_replica": fullest, "tpot_ms": interval(tpot, low, high),
        "ttft_ms": interval(speed.ttft_ms(fullest), *TTFT_RANGE)
        if prefill_ratio < QUEUE_RATIO else None}
    for name, rate in (("session", interval(1e3 / tpot, 1 / high, 1 / low)), ("node", interval(
            sessions / nodes * q.output / speed.latency_seconds(fullest), *THROUGHPUT_RANGE))):
        name = "output_tokens_per_second_per_" + name
        case[name], case[name + "_range"] = rate.pop("estimate"), rate
    return dict(case, breakdown_ms={part: rounded(ms) for part, ms in parts.items()},
                binding=max(parts, key=lambda part: parts[part]),
                prefill_ratio=rounded(prefill_ratio))


# ── Nós e falhas


def with_peak(sessions: Exact, headroom: Exact) -> int:
    """⌈sessions · (1 + headroom)⌉, só com inteiros: a conta se repete em cada linha comparada."""
    return ceil_div(sessions.numerator * (headroom.denominator + headroom.numerator),
                    sessions.denominator * headroom.denominator)


def nodes_for(sessions: Exact, headroom: Exact, sessions_per_unit: int,
              nodes_per_unit: int = 1) -> int:
    """Nós para `sessions` e o pico de `headroom`, comprados em unidades de `nodes_per_unit`."""
    return ceil_div(with_peak(sessions, headroom), sessions_per_unit) * nodes_per_unit


@dataclass(eq=False, repr=False, init=False)
class Offer(Record):
    """O que uma unidade de um leiaute admite na pergunta; sem dados para o teto, sem leiaute."""

    layout: Optional[Layout]
    unit: int  # nós de uma unidade
    sessions: int  # por unidade: o menor entre plano, teto físico e objetivos
    limited_by: str  # plan, engine_memory, tpot ou ttft
    speed: Optional[Speed]  # da carga dos objetivos, se a velocidade entra na conta dos nós

    def load(self, q: Question, headroom: Exact, units: int) -> int:
        """Sessões em andamento em `units` unidades, até as que elas admitem.

        De pedidos por segundo, o menor ponto fixo da lei de Little em cada unidade: sessões =
        taxa · latência(sessões).
        """
        if q.requests_per_second is None or not (self.speed and self.layout):
            return min(with_peak(q.concurrency, headroom), units * self.sessions)
        latency, replicas = self.speed.latency_seconds, self.layout.replicas_per_unit
        rate = q.requests_per_second * (1 + headroom) / units
        most, each = ceil_div(self.sessions, replicas), float(rate / replicas)
        fullest = 1 + largest(most - 1, lambda n: n < each * latency(n))
        return units * min(self.sessions, max(1, ceil_div(rate * Fraction(latency(fullest)), 1)))

    def demand(self, q: Question) -> Tuple[Exact, int]:
        """(sessões que a carga pede, sessões que uma unidade dá); de uma oferta vazia, uma.

        De pedidos por segundo, a lei de Little: uma unidade serve sessões / latência, o máximo
        quando está cheia, porque a latência cresce menos que as sessões. As que sobram da divisão
        pelas réplicas só contam se pagam a latência que acrescentam.
        """
        sessions = max(self.sessions, 1)
        if q.requests_per_second is None or not (self.speed and self.layout):
            return q.concurrency, sessions
        replicas, latency = self.layout.replicas_per_unit, self.speed.latency_seconds
        full = [(n, Fraction(latency(ceil_div(n, replicas)))) for n in
                {sessions, sessions // replicas * replicas or sessions}]
        sessions, seconds = max(full, key=lambda item: item[0] / item[1])
        return q.requests_per_second * seconds, sessions

    def nodes(self, q: Question, headroom: Exact) -> int:
        """Nós para a carga da pergunta mais `headroom`."""
        wanted, sessions = self.demand(q)
        return nodes_for(wanted, headroom, sessions, self.unit)

    def bought(self, q: Question) -> int:
        """Nós com o pico e a reserva de HA."""
        return self.nodes(q, q.peak_headroom_ratio) + self.unit * q.spares

    def holds(self, q: Question) -> int:
        """Sessões que os nós dados mantêm, com o pico e a reserva de HA à parte; 0 se nenhuma."""
        units = (q.nodes or 0) // self.unit - q.spares
        return max(0, units * self.sessions // (1 + q.peak_headroom_ratio))

    def cost(self, q: Question) -> Tuple[int, ...]:
        """A preferência: menos nós, unidade menor, menos nós sem pico, mais sessões, teto, tp."""
        assert self.layout
        # Sem taxa, mais sessões já são menos nós sem pico.
        nominal = 0 if q.requests_per_second is None else self.nodes(q, 0)
        return (not self.sessions, -self.holds(q) if q.asks == "sessions" else self.bought(q),
                self.unit, nominal, -self.sessions, -self.layout.sessions_per_unit,
                self.layout.tensor_parallel)


def offer_of(q: Question, layout: Layout) -> Offer:
    """O que um leiaute admite na pergunta."""
    plan, ceiling = q.plan_sessions(layout.nodes_per_unit), layout.sessions_per_unit
    sessions, limit = (ceiling, "engine_memory") if ceiling < plan else (plan, "plan")
    speed = known_speed(q, layout) if q.timed else None
    if speed:
        kept = largest(ceil_div(sessions, layout.replicas_per_unit),
                       lambda n: not speed.missed(q, n))
        if kept * layout.replicas_per_unit < sessions:
            sessions, limit = kept * layout.replicas_per_unit, speed.missed(q, kept + 1)
    return Offer(layout=layout, unit=layout.nodes_per_unit, sessions=sessions, limited_by=limit,
                 speed=speed)


# ── Storage, energia e custo


def storage_plan_of(q: Question, offer: Offer, nodes: int, sessions: int) -> Json:
    """Quanto leva pôr nós no ar e trazer o KV de uma sessão de volta, e o que cabe ao storage.

    Carga de um nó = checkpoint / min(throughput, carregador) + partida do motor; um perfil
    `shared` divide o throughput pelos nós que carregam ao mesmo tempo. Repor o KV lido do storage
    compete com recalculá-lo pelo prefill de um prompt sozinho. O que o catálogo não diz é None.
    """
    storage, checkpoint = q.storage, q.checkpoint_bytes
    path = float(storage.throughput_read_gbps)

    def load_seconds(at_once: int) -> Optional[float]:
        share = path / at_once if storage.shared else path
        return (rounded(checkpoint / GB / min(share, LOADER_GBPS) + ENGINE_START_SECONDS)
                if checkpoint else None)

    restore, recompute = q.kv_bytes / GB / path, None
    fresh = q.effective_context - q.output
    if offer.layout and offer.speed and fresh > 0:
        whole = q if q.inputs[0] == fresh else replace(q, input_tokens=fresh)
        recompute = known_speed(whole, offer.layout).alone_seconds
    parked = sessions if storage.shared else ceil_div(sessions, nodes)
    return {
        "checkpoint_bytes": checkpoint or None, "scope": "shared" if storage.shared else "node",
        "loader_gbps": LOADER_GBPS, "engine_start_seconds": ENGINE_START_SECONDS,
        "node_recovery_seconds": load_seconds(offer.unit),
        "cold_start_seconds": load_seconds(nodes),
        "kv_restore_seconds": rounded(restore),
        "kv_recompute_seconds": None if recompute is None else rounded(recompute),
        "kv_faster": None if recompute is None else (
            "restore" if restore < recompute else "recompute"),
        "parked_sessions": parked, "parked_kv_bytes": parked * q.kv_bytes,
        "capacity_bytes": checkpoint + parked * q.kv_bytes if checkpoint else None}


def physical_of(q: Question, nodes: int) -> Json:
    """Energia e espaço de `nodes` nós, pelos valores máximos do catálogo; None se ele não diz.

    Um rack tem `RACK_UNITS` U e leva até `RACK_KW` kW; um nó que sozinho passa disso tem o seu.
    """
    server, kw, units = q.server, q.server.power_kw, q.server.rack_units
    racks, in_rack = None, 0
    if kw and units:
        in_rack = min(RACK_UNITS // units, int(RACK_KW // kw))
        racks = ceil_div(nodes, in_rack) if in_rack else nodes * ceil_div(units, max(
            units, RACK_UNITS))
    return {
        "power_kw": kw and nodes * kw, "rack_units": units and nodes * units, "racks": racks,
        "nodes_per_rack": in_rack or None,
        "heat_btu_h": server.heat_btu_h and nodes * server.heat_btu_h,
        "energy_mwh_year": kw and nodes * kw * q.pue * HOURS_PER_YEAR / 1000}


def costs_of(q: Question, nodes: int, sessions: int, mwh_year: MaybeExact,
             tokens_per_second: Optional[float]) -> Json:
    """O custo na moeda dos preços dados, em `years` anos na potência máxima; sem preço, nada.

    Por sessão e mês, e por milhão de tokens gerados, se os nós levam a carga nominal sem parar.
    """
    if q.node_price is None and q.energy_price is None:
        return {}
    purchase = None if q.node_price is None else nodes * q.node_price
    energy = None if q.energy_price is None or mwh_year is None or q.years is None else (
        1000 * mwh_year * q.energy_price * q.years)
    total = (purchase or 0) + (energy or 0)
    seconds = 3600 * HOURS_PER_YEAR * float(q.years or 0)
    return {
        "purchase": purchase, "energy": energy, "total": total,
        "per_session_month": q.years and Fraction(total) / (q.years * 12 * sessions),
        "per_million_output_tokens": rounded(float(total) / (
            tokens_per_second * seconds / 1e6)) if seconds and tokens_per_second else None}


# ── O dimensionamento


@dataclass(eq=False, repr=False, init=False)
class SizingResult(Record):
    """Tudo o que as visões mostram, em blocos com os nomes do JSON; bytes e nós exatos.

    O que uma comparação de milhares de linhas não mostra só se calcula quando é lido.
    """

    question: Question  # com a carga ou o contexto que a resposta deu
    asks: str  # nodes, sessions, context ou load
    offer: Offer  # a escolhida
    offers: Tuple[Offer, ...]  # as consideradas, da que compra menos nós à que compra mais
    wider: Tuple[int, int]  # (nós por réplica, nós no total) que comprariam bem menos, ou (0, 0)
    missing: Tuple[str, ...]  # os dados que faltam para o teto físico
    concurrency: int  # sessões em andamento
    peak_sessions: int
    spare_sessions: int  # vagas que sobram no pico, sem contar a reserva de HA
    peak_sequences: int  # por motor, no pico
    nodes_minimum: int
    nodes_with_headroom: int
    nodes_final: int
    nodes_other_end: Optional[int]  # com o prefixo em cache; None: sem objetivos, ou não cabe
    speed_gap: str  # por que não há velocidade prevista

    @cached_property
    def results(self) -> Json:
        """O bloco central do JSON."""
        q, offer, kv = self.question, self.offer, self.question.kv_bytes
        total = kv * self.concurrency
        block = {
            "kv_per_session_gib": gib(kv), "kv_per_session_bytes": kv,
            "kv_total_tib": rounded(total / TIB), "kv_total_bytes": total,
            "kv_budget_gib": gib(q.budget_bytes), "kv_budget_bytes": q.budget_bytes // 1,
            "sessions_per_node": offer.sessions // offer.unit, "sessions_per_unit": offer.sessions,
            "nodes_per_unit": offer.unit, "limited_by": offer.limited_by,
            "peak_sessions": self.peak_sessions, "nodes_minimum": self.nodes_minimum,
            "nodes_with_headroom": self.nodes_with_headroom, "nodes_final": self.nodes_final}
        if self.asks == "sessions":
            block.update(max_concurrency=self.concurrency, by_context=by_context(q))
        if self.asks == "context":
            block["max_context"] = q.effective_context
        return block

    @cached_property
    def upper_kv_bytes(self) -> int:
        """KV de uma sessão num motor que reserva toda camada no comprimento inteiro."""
        q = self.question
        return sum(replace(group, cap_tokens=None).session_bytes(
            q.effective_context, q.element_bytes) for group in q.model.layer_groups)

    @cached_property
    def performance(self) -> Tuple[Json, ...]:
        """A velocidade em cada carga; a dos objetivos, com todos os nós, é a primeira."""
        return tuple(performances(self))

    @cached_property
    def nominal(self) -> Optional[Json]:
        """A velocidade na carga dos objetivos com todos os nós, sem calcular as outras."""
        return next(performances(self), None)

    @cached_property
    def ha_plan(self) -> Json:
        """O que resta depois das falhas que a HA cobre, e ao menos de uma.

        Um nó que falta tira a sua unidade inteira; os ociosos de uma carga fixa o substituem.
        """
        unit, failed = self.offer.unit, max(1, self.question.spares)
        units, idle = divmod(self.nodes_final, unit)
        left = max(0, units - max(0, failed - idle))
        covers = left * unit >= self.nodes_minimum
        return {
            "failed_nodes": failed, "nodes_after_failure": left * unit,
            "sessions_after_failure": left * self.offer.sessions, "covers_concurrency": covers,
            "covers_peak": left * unit >= self.nodes_with_headroom,
            "failures_covered_nominal": max(0, idle + units - self.nodes_minimum // unit),
            "failures_covered_peak": max(0, idle + units - self.nodes_with_headroom // unit),
            "interrupted_sessions": ceil_div(self.concurrency, units),
            "meets_objectives": covers if self.question.timed else None}

    @cached_property
    def storage_plan(self) -> Json:
        """O tempo de carga e o KV guardado."""
        return storage_plan_of(self.question, self.offer, self.nodes_final, self.concurrency)

    @cached_property
    def physical(self) -> Json:
        """Energia e espaço."""
        return physical_of(self.question, self.nodes_final)

    @cached_property
    def costs(self) -> Json:
        """O custo, com os preços dados."""
        rate = self.nodes_final * self.nominal["output_tokens_per_second_per_node"] if (
            self.nominal) else None
        return costs_of(self.question, self.nodes_final, self.concurrency,
                        self.physical["energy_mwh_year"], rate)

    @cached_property
    def warnings(self) -> Tuple[str, ...]:
        """Os avisos, do mais grave ao mais leve."""
        return tuple(warnings_of(self))

    @property
    def answer(self) -> int:
        """O número que responde à pergunta: nós, sessões, contexto ou vagas que sobram."""
        return {"nodes": self.nodes_final, "sessions": self.concurrency,
                "context": self.question.effective_context, "load": self.spare_sessions}[self.asks]


# A unidade de cada resposta.
ANSWERS = {"nodes": ("nó", "nós"), "sessions": ("sessão", "sessões"),
           "context": ("token", "tokens"), "load": ("vaga livre", "vagas livres")}


def size(q: Question) -> SizingResult:
    """Responde à pergunta. Levanta `SizingError` (3) se nem uma sessão cabe."""
    asks, missing = q.asks, missing_for_ceiling(q)
    gap = missing or missing_for_speed(q)
    for name in ("max_tpot_ms", "max_ttft_ms", "requests_per_second", "calibration"):
        if gap and getattr(q, name) is not None:
            flag = name.replace("calibration", "calibrate_tpot_ms").replace("_", "-")
            raise SizingError("--" + flag, "não há velocidade a prever: falta no catálogo "
                              + ", ".join(gap))
    if asks == "context":
        q = longest_context(q)
    q, offers = offers_of(q, missing)
    offer, unit = offers[0], offers[0].unit
    if asks == "sessions":
        q = q.under(concurrency=offer.holds(q))
        if not q.concurrency:
            raise nothing_held(q, offer)
    with_headroom, final = offer.nodes(q, q.peak_headroom_ratio), offer.bought(q)
    if q.nodes is not None:
        if final > q.nodes:
            raise too_few_nodes(q, offer, final)
        final = q.nodes if asks == "load" else q.nodes // unit * unit
    speed_gap = "falta no catálogo " + ", ".join(gap) if gap else (
        "a rede entre os nós de uma réplica não é modelada" if unit > 1 else "")
    if offer.layout and not (offer.speed or speed_gap):
        offer = replace(offer, speed=known_speed(q, offer.layout))
    # As unidades que levam o pico: sem a reserva de HA, ou as da carga fixa.
    units = (with_headroom if asks == "nodes" else final - q.spares * unit) // unit
    peak = offer.load(q, q.peak_headroom_ratio, units)
    engines = offer.layout.replicas_per_unit * offer.layout.data_parallel if offer.layout else 1
    narrow = (offer.layout and unit == 1 and not q.timed and q.nodes is None
              and offer.sessions < q.plan_sessions(1))
    return SizingResult(
        question=q, asks=asks, offer=offer, missing=tuple(missing), speed_gap=speed_gap,
        offers=tuple(item for item in offers if item.unit == unit),
        wider=wider_unit(q, final) if narrow else (0, 0),
        concurrency=offer.load(q, 0, final // unit), peak_sessions=peak,
        spare_sessions=units * offer.sessions - peak,
        peak_sequences=ceil_div(peak, units * engines), nodes_minimum=offer.nodes(q, 0),
        nodes_with_headroom=with_headroom, nodes_final=final,
        nodes_other_end=nodes_other_end(q, offers))


def offers_of(q: Question, missing: Sequence[str]) -> Tuple[Question, List[Offer]]:
    """(a pergunta, calibrada; as ofertas dos leiautes, da melhor à pior). Levanta `SizingError`."""
    layouts = [] if missing else unit_layouts(q)
    if layouts and not any(layout.sessions_per_unit for layout in layouts):
        raise nothing_fits(q, layouts)
    if (q.timed or q.calibration) and layouts[0].nodes_per_unit > 1:
        raise refusal(q, "engine_memory", "uma réplica de %s não cabe num nó de %s, e a "
                      "velocidade entre nós não é modelada" % (q.model.name, q.server.name))
    if q.nodes is not None:  # uma réplica maior que os nós dados não serve, se há outra
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


def answer_of(q: Question) -> int:
    """Só o número que responde: nós, ou sessões que os nós dados mantêm; 0 se nada cabe.

    Com a carga e os nós dados, os nós que ela pede, se não são mais que os dados.
    """
    try:
        q, offers = offers_of(q, missing_for_ceiling(q))
    except SizingError as error:
        if error.status == 3:
            return 0
        raise
    if q.asks == "sessions":
        return offers[0].holds(q)
    needed = offers[0].bought(q)
    return needed if q.nodes is None or needed <= q.nodes else 0


def by_context(q: Question) -> List[Json]:
    """As sessões que os nós mantêm nos contextos usuais; um TPOT medido vale num contexto só."""
    asked = [replace(q, concurrency=0, requested_context=context) for context in USUAL_CONTEXTS
             if context <= q.model.max_position_embeddings and not q.calibration]
    return [{"effective_context": other.requested_context, "max_concurrency": answer_of(other)}
            for other in asked if other.request_fits]


def longest_context(q: Question) -> Question:
    """A pergunta com o maior contexto em que a carga cabe nos nós dados, ou o menor possível.

    Caber não é monótono no contexto inteiro: quando um nó já não admite uma sessão, réplicas de
    vários nós podem comprar menos. Procura-se acima e abaixo desse ponto.
    """
    limit = q.model.max_position_embeddings

    def at(tokens: int) -> Question:
        return replace(q, requested_context=tokens)

    def fits(tokens: int) -> bool:
        return answer_of(at(tokens)) > 0

    def longest(low: int, high: int) -> int:
        # De dois em dois: num contexto ímpar e curto a saída padrão é menor que a entrada.
        even = 2 * largest(high // 2, lambda half: fits(2 * half), (low - 1) // 2)
        found = [tokens for tokens in (even + 1, even) if low <= tokens <= high]
        return next((tokens for tokens in found if tokens == even or fits(tokens)), 0)

    first, inside = 1 + largest(limit - 1, lambda tokens: not at(tokens).request_fits), limit
    if not missing_for_ceiling(q):
        inside = largest(limit, lambda tokens: any(
            layout.sessions_per_unit for layout in layouts_of(at(tokens), 1)), first - 1)
    return at(longest(inside + 1, limit) or longest(first, inside) or first)


def calibrated(q: Question, layouts: Sequence[Layout]) -> Tuple[Question, List[Layout]]:
    """A pergunta com a escala do TPOT medido e o único leiaute em que ele vale.

    O ponto foi medido no leiaute que estaria em uso sem objetivos, com a carga da pergunta.
    """
    assert q.calibration
    ms, sessions = q.calibration
    plain = replace(q, calibration=None, tpot_scale=1.0, nodes=None, max_tpot_ms=None,
                    max_ttft_ms=None, concurrency=q.concurrency or 1)
    layout = offers_of(plain, ())[1][0].layout
    assert layout
    scale = ms / speed_of(plain, layout).tpot_ms(sessions)
    wrong = ""
    if sessions > layout.sessions_per_replica:
        wrong = "espera-se até %s, o que uma réplica admite (%s)" % (
            sessions_text(layout.sessions_per_replica), layout)
    elif not 1 / ABSURD_CALIBRATION < scale < ABSURD_CALIBRATION:
        wrong = "o previsto é %s ms (%s): confira a unidade e a carga medida" % (
            number_text(ms / scale), layout)
    if wrong:
        raise SizingError("--calibrate-tpot-ms", wrong, value="%g@%d" % (ms, sessions))
    return replace(q, tpot_scale=scale), [item for item in layouts if str(item) == str(layout)]


def performances(r: SizingResult) -> Iterator[Json]:
    """A velocidade de cada ponta da carga, com todos os nós e depois das falhas consideradas."""
    q, layout, offer = r.question, r.offer.layout, r.offer
    if layout is None or offer.speed is None:
        return
    for end in (q, q.turn):
        if end and end is not q:
            offer = replace(offer, speed=known_speed(end, layout))
        for nodes in (r.nodes_final, r.ha_plan["nodes_after_failure"]):
            if end and nodes and offer.speed:
                yield performance_of(end, layout, offer.speed, nodes, offer.load(end, 0, nodes))


def nodes_other_end(q: Question, offers: Sequence[Offer]) -> Optional[int]:
    """Os nós se todo pedido tivesse o prefixo em cache, quando a velocidade decide os nós."""
    turn = q.turn if q.timed and q.nodes is None else None
    if turn is None:
        return None
    empty, bought = min(offer_of(turn, offer.layout).cost(turn) for offer in offers
                        if offer.layout)[:2]
    return None if empty else bought


def wider_unit(q: Question, nodes: int) -> Tuple[int, int]:
    """(nós por réplica, nós) da réplica de vários nós que compra menos da metade; senão (0, 0)."""
    best = min((offer_of(q, layout).cost(q) for layout in wide_layouts(q)), default=(1,))
    return (best[2], best[1]) if not best[0] and 2 * best[1] < nodes else (0, 0)


# ── Recusas: o que falta e o que caberia


def refusal(q: Question, limit: str, text: str, options: Callable[[], Sequence[Option]] = tuple,
            lead: str = "") -> SizingError:
    """Uma recusa de status 3: o que falta, e as opções com que caberia, para `ways_out`."""
    error = SizingError("nada cabe", text, status=3)
    error.question, error.limit, error.options, error.lead = q, limit, options, lead
    return error


def fitting(options: Iterable[Option]) -> List[str]:
    """Os textos das opções que têm resposta."""
    found = []
    for text, sound, q in options:
        try:
            if sound and size(q):
                found.append(text)
        except SizingError:
            continue
    return found


def on_server(q: Question, server: Server, default_overhead: bool) -> Question:
    """A mesma pergunta noutro servidor; a reserva padrão acompanha as GPUs."""
    overhead = DEFAULT_OVERHEAD_GIB_PER_GPU * server.gpus if default_overhead else (
        q.runtime_overhead_gib)
    return replace(q, server=server, runtime_overhead_gib=overhead, calibration=None,
                   tpot_scale=1.0)


def ways_out(error: SizingError, servers: Sequence[Server], default_overhead: bool) -> str:
    """O que caberia no lugar do que foi recusado: cada flag sozinha, e os servidores.

    Um TPOT medido neste servidor não diz nada dos outros.
    """
    q, options = error.question, error.options()
    found, text = fitting(options), ""
    if options:
        text = "; %scabe com %s" % (error.lead, " ou ".join(found)) if found else (
            "; nenhuma flag sozinha basta neste servidor")
    if q.calibration:
        return text
    if q.tensor_parallel and fitting([("", True, replace(q, tensor_parallel=None))]):
        return text + "; cabe com --tensor-parallel auto"
    others = fitting((server.name, server is not q.server, on_server(q, server, default_overhead))
                     for server in servers)
    if others:
        return text + "; cabe em: " + ", ".join(others)
    return text if found else text + "; em nenhum servidor do catálogo"


def plan_too_small(q: Question, unit: int) -> SizingError:
    """A recusa quando o orçamento do plano não tem lugar para uma sessão."""
    total, budget, kv_bytes = q.server.total_hbm_gb * GB, q.budget_bytes, q.kv_bytes

    def options() -> Sequence[Option]:
        context = largest(q.model.max_position_embeddings, lambda n: session_kv_bytes(
            q.model.layer_groups, n, q.kv_precision) <= budget)
        overhead = Fraction((total * q.kv_budget_ratio - kv_bytes) * 1000 // GIB, 1000)
        ratio = Fraction(ceil_div((kv_bytes + q.runtime_overhead_gib * GIB) * 10000, total), 10000)
        shorter = replace(q, requested_context=max(context, 1))
        return (
            ("--kv-precision fp8", q.element_bytes == 2, replace(q, kv_precision="fp8")),
            ("--effective-context %d" % context, context > 0 and shorter.request_fits, shorter),
            ("--runtime-overhead-gib %s" % decimal_text(overhead, 3), overhead > 0,
             replace(q, runtime_overhead_gib=overhead)),
            ("--kv-budget-ratio %s" % decimal_text(ratio, 4), ratio <= 1,
             replace(q, kv_budget_ratio=ratio)))

    return refusal(
        q, "plan", "uma sessão de %s em %s pede %s de KV e o orçamento de %s é de %s (faltam %s)"
        % (q.model.name, q.server.name, size_text(kv_bytes), plural(unit, "nó"),
           size_text(unit * budget), size_text(kv_bytes - unit * budget)),
        options, "uma sessão por nó ")


def nothing_fits(q: Question, layouts: Sequence[Layout]) -> SizingError:
    """A recusa quando o motor não admite uma sessão em leiaute algum."""
    layout = max(layouts, key=lambda item: item.kv_capacity_bytes - item.session_bytes)
    sizes = (layout.weights_bytes, layout.runtime_bytes, layout.session_bytes, layout.usable_bytes,
             layout.session_bytes - layout.kv_capacity_bytes)
    return refusal(
        q, "engine_memory", "%s em %s: no melhor leiaute (%s em %s), por GPU, pesos de %s, motor "
        "de %s e uma sessão de %s passam dos %s que o motor pode usar (faltam %s)" % (
            q.model.name, q.server.name, layout, plural(layout.nodes_per_unit, "nó"),
            *map(size_text, sizes)))


def out_of_reach(q: Question, offers: Sequence[Offer]) -> SizingError:
    """A recusa quando nem uma sessão por réplica atende aos objetivos."""
    reached = []
    for name, limit, metric in (("TPOT", q.max_tpot_ms, Speed.tpot_ms),
                                ("TTFT", q.max_ttft_ms, Speed.ttft_ms)):
        if limit is not None:
            best, where = min((metric(offer.speed, 1), str(offer.layout)) for offer in offers
                              if offer.speed and offer.layout and offer.layout.sessions_per_unit)
            reached.append("%s de %s ms, o melhor é %s ms (%s)" % (
                name, number_text(limit, 9), number_text(best, 4), where))
    return refusal(
        q, offers[0].limited_by, "com uma sessão por réplica de %s em %s e %d tokens novos por "
        "pedido: %s" % (q.model.name, q.server.name, q.inputs[0], "; ".join(reached)),
        lambda: (("--input-tokens %d" % q.inputs[-1], q.turn is not None, q.turn or q),
                 ("--weights-precision fp8", q.precision in ("bf16", "fp16"),
                  replace(q, weights_precision="fp8"))))


def unit_text(unit: int) -> str:
    """`nó`, ou `4 nós`."""
    return "nó" if unit == 1 else "%d nós" % unit


def too_few_nodes(q: Question, offer: Offer, needed: int) -> SizingError:
    """A recusa de uma carga que não cabe nos nós dados."""
    nodes, spares = q.nodes or 0, q.spares * offer.unit
    return refusal(
        q, offer.limited_by, "%s de %s %s %s de %s (%d por %s, limite: %s); esta carga pede %s%s"
        % (plural(nodes, "nó"), q.server.name, "admite" if nodes == 1 else "admitem",
           sessions_text(nodes // offer.unit * offer.sessions),
           plural(q.effective_context, "token"), offer.sessions, unit_text(offer.unit),
           LIMITS[offer.limited_by], plural(needed, "nó"),
           " (%d de reserva)" % spares if spares else ""),
        lambda: [("--nodes %d" % needed, True, q.under(nodes=needed))])


def nothing_held(q: Question, offer: Offer) -> SizingError:
    """A recusa quando, com a reserva de HA e o pico à parte, não sobra lugar nos nós dados."""
    nodes, needed = q.nodes or 0, offer.bought(q.under(concurrency=1))
    return refusal(
        q, offer.limited_by, "%s de %s, com %d de reserva e pico de %s, não %s uma sessão "
        "(%d por %s)" % (
            plural(nodes, "nó"), q.server.name, q.spares * offer.unit,
            percent_text(q.peak_headroom_ratio), "mantém" if nodes == 1 else "mantêm",
            offer.sessions, unit_text(offer.unit)),
        lambda: [("--nodes %d" % needed, True, q.under(nodes=needed, concurrency=0))])


# ── Avisos


def extrapolations(r: SizingResult) -> List[str]:
    """O que, nesta pergunta, está fora das medidas em que o modelo de velocidade foi conferido."""
    q, layout = r.question, r.offer.layout
    if not layout or not r.nominal:
        return []
    marks = (
        ("contexto acima de %d" % MEASURED_CONTEXT, q.effective_context > MEASURED_CONTEXT),
        ("GPU sem medidas", not MEASURED_GPUS & set((q.server.gpu or "").split())),
        ("réplica de %d GPUs" % layout.gpus, layout.gpus > 8),
        ("comunicação por PCIe", layout.gpus > 1 and not q.server.nvlink_reaches(layout.gpus)),
        ("pesos " + q.precision, q.precision in ("int4", "int8")),
        ("atenção comprimida", any(g.kind == "compressed" for g in q.model.layer_groups)))
    return [text for text, outside in marks if outside]


def floored_percent(ratio: Exact, places: int) -> str:
    """Uma razão em porcentagem, arredondada para baixo."""
    return decimal_text(Fraction(ratio * 100 * 10**places // 1, 10**places), places) + "%"


def warnings_of(r: SizingResult) -> Iterator[str]:
    """Os avisos, `código: frase`, do mais grave ao mais leve; cada um diz o número que o causou."""
    q, unit, storage = r.question, r.offer.unit, r.question.storage
    if q.requested_context > q.effective_context:
        yield ("context_clamped: pedidos %d tokens, acima do máximo do modelo; dimensionado com %d"
               % (q.requested_context, q.effective_context))
    if r.wider[0]:
        yield ("wider_replica: réplicas de %d nós comprariam %d nós em vez de %d, se a rede entre "
               "eles servir" % (*r.wider, r.nodes_final))
    if r.nodes_final == unit:
        bought = plural(r.nodes_final, "nó")
        yield ("single_node: %s sem HA: se um cair, param %s%s"
               % (bought, sessions_text(r.concurrency),
                  "; --ha n+1 acrescenta " + bought if q.nodes is None else ""))
    if q.nodes is not None and q.nodes % unit:
        yield ("idle_nodes: uma réplica ocupa %d nós: dos %d dados, %d não se usam"
               % (unit, q.nodes, q.nodes % unit))
    yield from speed_warnings(r)
    spare = Fraction(r.spare_sessions, r.offer.sessions)
    if spare < TIGHT_LAST_NODE_RATIO and r.asks in ("nodes", "load"):
        yield ("tight_capacity: no pico %s, %s %s (abaixo de %s)"
               % ("sobra 1 vaga" if r.spare_sessions == 1 else
                  "sobram %d vagas" % r.spare_sessions, floored_percent(spare, 1),
                  "do último nó" if unit == 1 else "dos últimos %d nós" % unit,
                  percent_text(TIGHT_LAST_NODE_RATIO)))
    yield from ceiling_warnings(r)
    if q.kv_budget_ratio > HIGH_KV_BUDGET_RATIO:
        yield ("high_budget_ratio: %s da HBM para KV, acima de %s: risco de faltar memória para "
               "pesos, ativações e fragmentação"
               % (percent_text(q.kv_budget_ratio), percent_text(HIGH_KV_BUDGET_RATIO)))
    if q.kv_precision == "int8":
        yield ("int8_experimental: KV em int8 (1 byte) é experimental: poucos motores o servem; "
               "meça a qualidade ou use fp8, do mesmo tamanho")
    if storage.type != "local":
        yield "%s_storage: %s" % (storage.type, cold_start_text(r))
    if q.element_bytes == 2:
        fp8_bytes = replace(q, kv_precision="fp8").kv_bytes
        yield ("kv_16bit: KV em %s (2 bytes) pede %s por sessão, %s vezes os %s de fp8"
               % (q.kv_precision, size_text(q.kv_bytes),
                  decimal_text(Fraction(q.kv_bytes, fp8_bytes), 2), size_text(fp8_bytes)))


def cold_start_text(r: SizingResult) -> str:
    """A partida a frio no storage da pergunta, com o que a limita."""
    storage, plan = r.question.storage, r.storage_plan
    latency, cold = storage.latency_read_ms_p99, plan["cold_start_seconds"]
    text = "%s, %s GB/s%s%s" % (
        storage.name, decimal_text(storage.throughput_read_gbps, 3),
        " divididos pelos nós" if storage.shared else " por nó",
        "" if latency is None else ", P99 de %s ms" % decimal_text(latency, 3))
    if cold is None:
        return text + ": a partida a frio não se calcula sem checkpoint_bytes no catálogo"
    return text + ": partida a frio de %s (%s de leitura); um nó volta em %s" % (
        *map(seconds_text, (cold, cold - ENGINE_START_SECONDS, plan["node_recovery_seconds"])),)


def speed_warnings(r: SizingResult) -> Iterator[str]:
    """Os avisos da velocidade prevista, pela pior das cargas mostradas."""
    q = r.question
    if r.offer.layout is None:
        return
    if r.speed_gap:
        yield "no_speed: não há velocidade prevista: " + r.speed_gap
        return
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
    if r.peak_sequences > q.max_num_seqs:
        yield ("max_num_seqs: %d sequências por motor no pico, acima das %d que ele admite por "
               "padrão: --max-num-seqs %d" % (r.peak_sequences, q.max_num_seqs, r.peak_sequences))
    if not 1 / FAR_CALIBRATION < q.tpot_scale < FAR_CALIBRATION:
        yield ("far_calibration: o TPOT medido é %s vezes o previsto: confira se a carga medida é "
               "a da pergunta" % number_text(q.tpot_scale))


def load_text(case: Json) -> str:
    """A carga de uma previsão: `prompt novo, 2 nós` ou `prefixo em cache, 1 nó`."""
    return "%s, %s" % ("prefixo em cache" if case["cached_tokens"] else "prompt novo",
                       plural(case["nodes"], "nó"))


def ceiling_warnings(r: SizingResult) -> Iterator[str]:
    """Os avisos que comparam o plano com o que o motor de fato usa."""
    q, offer, layout = r.question, r.offer, r.offer.layout
    if layout is None:
        yield ("no_ceiling: só o plano, que não confere se os pesos cabem; falta no catálogo: %s"
               % ", ".join(r.missing))
        return
    reserve, weights = q.runtime_overhead_gib * GIB, layout.weights_bytes * q.server.gpus
    if weights > reserve:
        yield ("weights_exceed_reserve: pesos de %s por nó, acima da reserva de %s do plano"
               % (size_text(weights), size_text(reserve)))
    idle = Fraction(layout.sessions_per_unit - offer.sessions, layout.sessions_per_unit)
    if idle > IDLE_CEILING_RATIO:
        yield ("idle_ceiling: usam-se %d das %d sessões que o motor admite: sobra %s, mais de um "
               "terço" % (offer.sessions, layout.sessions_per_unit, floored_percent(idle, 0)))
    if offer.unit > 1:
        yield ("replica_spans_nodes: uma réplica não cabe em um nó; a que compra menos nós ocupa "
               "%d, e a rede entre eles decide a velocidade" % offer.unit)


# ── A explicação: cada número com a fórmula, os valores e a fonte

# `nome | rótulo | unidade | fórmula | fonte`, na ordem da conta. Os nomes são os do JSON, das
# constantes do módulo e os que linhas anteriores definem. Vale a primeira linha de cada nome em que
# toda grandeza tem valor.
FIGURES = """
effective_context | contexto usado | tokens | min(requested_context, max_position_embeddings) |
  config.json do modelo
kv_total_bytes | KV de todas as sessões | B | concurrency * kv_per_session_bytes |
kv_budget_bytes | orçamento de KV por nó | B | total_hbm_gb * GB * kv_budget_ratio -
  runtime_overhead_gib * GIB | convenção do plano
plan_sessions | sessões que o plano admite por unidade | sessões | floor(nodes_per_unit *
  kv_budget_bytes / kv_per_session_bytes) | convenção do plano
usable_bytes | HBM que o motor usa, por GPU | B | floor(gpu_memory_utilization *
  hbm_usable_gib_per_gpu * GIB) | memória que o driver mostra
weights_bytes | pesos por GPU | B | ceil((dense_bytes - replicated_bytes) / tensor_parallel) +
  replicated_bytes + rope_bytes + ceil(expert_bytes * expert_padding / (tensor_parallel *
  data_parallel)) | bytes do checkpoint
activation_bytes | ativações por GPU | B | max(sampler_bytes, ffn_bytes) + CUBLAS_BYTES + moe_bytes
  + encoder_bytes + indexer_bytes | ajuste a registros do vLLM
runtime_bytes | motor por GPU | B | activation_bytes + non_torch_bytes + cuda_graphs_bytes | ajuste
  a registros do vLLM
kv_capacity_bytes | KV que cabe por GPU | B | usable_bytes - weights_bytes - runtime_bytes |
sessions_per_replica | sessões que cabem na réplica | sessões | min(floor(kv_capacity_bytes /
  session_bytes_per_gpu), sequences_limit) * data_parallel | páginas de 16 tokens
ceiling_sessions | teto físico por unidade | sessões | sessions_per_replica * replicas_per_unit |
sessions_per_unit | sessões por unidade | sessões | min(plan_sessions, ceiling_sessions,
  objective_sessions) | o menor limite vale
sessions_per_unit | sessões por unidade | sessões | min(plan_sessions, ceiling_sessions) | o menor
  limite vale
max_concurrency | sessões que os nós mantêm | sessões | floor((floor(nodes / nodes_per_unit) -
  ha_spares) * sessions_per_unit / (1 + peak_headroom_ratio)) | pico e reserva à parte
planned_sessions | sessões que a taxa pede, com a unidade cheia | sessões | requests_per_second *
  full_latency_seconds | lei de Little
nodes_minimum | capacidade pura | nós | ceil(planned_sessions / full_sessions) * nodes_per_unit |
nodes_with_headroom | com o pico | nós | ceil(planned_sessions * (1 + peak_headroom_ratio) /
  full_sessions) * nodes_per_unit |
nodes_bought | com a reserva de HA | nós | nodes_with_headroom + ha_spares * nodes_per_unit |
interrupted_sessions | em andamento na unidade que cai | sessões | ceil(concurrency /
  (nodes_final / nodes_per_unit)) |
sessions_after_failure | admitidas depois da falha | sessões | nodes_after_failure / nodes_per_unit
  * sessions_per_unit |
replica_sessions | sessões na réplica mais cheia | sessões | ceil(concurrency / (nodes_final *
  replicas_per_unit / nodes_per_unit)) |
rows | sequências por GPU | | max(1, replica_sessions / data_parallel) |
weights | TPOT: ler e calcular as camadas densas | ms | 1000 * scale * (weights_read_bytes /
  tensor_parallel / (hbm_bandwidth * WEIGHTS_MBU) + rows * 2 * (linear_params / dense_flops +
  head_params / bf16_flops) / tensor_parallel / DECODE_MFU) | ajuste a medidas públicas
experts | TPOT: ler e calcular os especialistas | ms | 1000 * scale * (expert_bytes / replica_gpus /
  (hbm_bandwidth * EXPERTS_MBU) * (1 - (1 - touched_ratio)**replica_sessions) + rows * 2 *
  expert_params * touched_ratio / tensor_parallel / expert_flops / DECODE_EXPERTS_MFU) | ajuste a
  medidas públicas
kv | TPOT: ler o KV | ms | 1000 * scale * rows * (kv_read_bytes / (hbm_bandwidth * KV_MBU) +
  absorbed_flops / tensor_parallel / (bf16_flops * ATTENTION_MFU)) | ajuste a medidas públicas
communication | TPOT: comunicação | ms | 1000 * scale * parallel * blocks * (ALL_REDUCE_SECONDS +
  rows * 4 * hidden_size * (replica_gpus - 1) / replica_gpus / link_bandwidth / DECODE_LINK_RATIO) |
  ajuste a medidas públicas
launch | TPOT: partida dos kernels | ms | 1000 * scale * (blocks / 2 * LAYER_SECONDS + moe_layers *
  MOE_LAYER_SECONDS + indexer_layers * INDEXER_LAYER_SECONDS) | ajuste a medidas públicas
spread_seconds | prefill: camadas e comunicação | s | input_tokens * (2 * (linear_params /
  dense_flops / dense_prefill_mfu + expert_params * touched_ratio / expert_flops /
  PREFILL_EXPERTS_MFU) / replica_gpus + parallel * blocks * 4 * hidden_size * (replica_gpus - 1) /
  replica_gpus / link_bandwidth / PREFILL_LINK_RATIO) | ajuste a medidas públicas
prefill_seconds | prefill de um pedido entre os outros | s | spread_seconds + attention_flops /
  replica_gpus / (bf16_flops * ATTENTION_MFU) | ajuste a medidas públicas
prefill_interference | TPOT: prefill dos outros pedidos | ms | 1000 * scale * prefill_seconds *
  (replica_sessions - 1) / output_tokens |
tpot_ms | TPOT | ms | weights + experts + kv + communication + launch + prefill_interference | faixa
  de 80% no README
alone_seconds | prefill de um prompt sozinho | s | tpot_scale * (max(spread_seconds +
  attention_flops / tensor_parallel / (bf16_flops * ATTENTION_MFU), weights_read_bytes /
  tensor_parallel / (hbm_bandwidth * WEIGHTS_MBU) + expert_bytes / replica_gpus / (hbm_bandwidth *
  EXPERTS_MBU)) + blocks / 2 * PREFILL_LAYER_SECONDS + parallel * blocks * ALL_REDUCE_SECONDS) |
  ajuste a medidas públicas
ttft_ms | TTFT, sem fila | ms | 1000 * (FIRST_TOKEN_SECONDS + alone_seconds) + tpot_ms / 2 | faixa
  de 80% no README
session_rate | tokens por segundo e sessão | tok/s | 1000 / tpot_ms |
node_rate | tokens por segundo e nó | tok/s | concurrency / nodes_final * output_tokens / ((ttft_ms
  + (output_tokens - 1) * tpot_ms) / 1000) | lei de Little
node_recovery_seconds | um nó de volta depois da falha | s | checkpoint_bytes / GB /
  min(throughput_read_gbps / recovering_nodes, LOADER_GBPS) + ENGINE_START_SECONDS | tempos de carga
  medidos
cold_start_seconds | todos os nós, a frio | s | checkpoint_bytes / GB / min(throughput_read_gbps /
  starting_nodes, LOADER_GBPS) + ENGINE_START_SECONDS | tempos de carga medidos
kv_restore_seconds | repor o KV de uma sessão do storage | s | kv_per_session_bytes / GB /
  throughput_read_gbps | perfil de storage
kv_recompute_seconds | recalcular o KV de uma sessão | s | | alone_seconds com todo o contexto em
  prompt novo
capacity_bytes | espaço para o checkpoint e as sessões guardadas | B | checkpoint_bytes +
  parked_sessions * kv_per_session_bytes |
power_kw | potência máxima | kW | nodes_final * power_kw_per_node | folha do servidor
heat_btu_h | calor | BTU/h | nodes_final * heat_btu_h_per_node | folha do servidor
rack_units | espaço em rack | U | nodes_final * rack_units_per_node | folha do servidor
racks | racks de 42 U e até 45 kW | | ceil(nodes_final / nodes_per_rack) |
racks | racks | | | um nó passa sozinho de 45 kW ou de 42 U
energy_mwh_year | energia num ano, com o PUE | MWh | power_kw * pue * HOURS_PER_YEAR / 1000 |
purchase | compra | | nodes_final * node_price | preço dado
energy | energia no período | | 1000 * energy_mwh_year * energy_price * years | preço dado
total | total | | purchase + energy |
per_session_month | por sessão e mês | | total / (years * 12 * concurrency) |
per_million_output_tokens | por milhão de tokens gerados | | total / (node_rate * nodes_final * 3600
  * HOURS_PER_YEAR * years / 10**6) | nós sempre com a carga nominal
"""


def figures_of(r: SizingResult) -> List[Json]:
    """Os números da resposta em ordem: nome, rótulo, valor, unidade, fórmula, valores e fonte."""
    names, rows = names_of_figures(r), group_figures(r.question)
    total, rest = rows.pop(), {}
    for line in FIGURES.replace("\n  ", " ").strip().splitlines():
        name, label, unit, formula, source = (cell.strip() for cell in line.split("|"))
        used = set(re.findall(r"[A-Za-z_][A-Za-z_0-9]*", formula)) - {"min", "max", "floor", "ceil"}
        if name not in rest and all(names.get(word) is not None for word in (name, *used)):
            rest[name] = figure(name, label, names[name], unit, formula, names, source)
    context = rest.pop("effective_context")
    return [context, *rows, total, *rest.values()]


def figure(name: str, label: str, value: Any, unit: str, formula: str, names: Json,
           source: str) -> Json:
    """Um número da explicação, com os valores no lugar dos nomes da fórmula."""
    numbers = re.sub(r"[A-Za-z_][A-Za-z_0-9]*", lambda match: exact_text(names[match[0]])
                     if match[0] in names else match[0], formula)
    return {"name": name, "label": label, "value": value, "unit": unit, "formula": formula,
            "numbers": numbers, "source": source}


def exact_text(value: Union[Exact, float]) -> str:
    """O número como entra numa conta: exato, ou com 9 algarismos; `(a / b)` se não é decimal."""
    if isinstance(value, float):
        return "%.9g" % value
    if value.denominator == 1:
        return str(int(value))
    text = decimal_text(value, 33)
    return text if Fraction(text) == value else "(%d / %d)" % (value.numerator, value.denominator)


def group_figures(q: Question) -> List[Json]:
    """O KV de uma sessão em cada grupo de camadas e, por último, o total."""
    rows, parts = [], {}
    for number, group in enumerate(q.model.layer_groups, 1):
        held = q.effective_context if group.cap_tokens is None else min(
            q.effective_context, group.cap_tokens)
        name = "kv_group_%d_bytes" % number
        parts[name] = group.session_bytes(q.effective_context, q.element_bytes)
        rows.append(figure(
            name, "KV do grupo %d, %s" % (number, group.kind), parts[name], "B",
            "layers * (held_tokens * (elements_per_token * element_bytes + bytes_per_token) + "
            "fixed_bytes)", dict(group.document, element_bytes=q.element_bytes,
                                 held_tokens=held // group.stride), "vLLM, kv_cache_interface.py"))
    return [*rows, figure("kv_per_session_bytes", "KV de uma sessão", q.kv_bytes, "B",
                          " + ".join(parts), parts, "")]


def names_of_figures(r: SizingResult) -> Json:
    """O valor de cada nome das fórmulas; None se não se aplica a esta pergunta."""
    q, offer, layout, model = r.question, r.offer, r.offer.layout, r.question.model
    planned, full = offer.demand(q)
    shared = q.storage.shared
    names: Json = {name: value for name, value in globals().items()
                   if name.isupper() and isinstance(value, (int, float))}
    names.update({name: getattr(q, name) for name in q.__dataclass_fields__})
    names.update(vars(q.server), power_kw_per_node=q.server.power_kw,
                 heat_btu_h_per_node=q.server.heat_btu_h, rack_units_per_node=q.server.rack_units)
    names.update(r.results)
    names.update(r.ha_plan)
    names.update(r.storage_plan)
    names.update(r.physical)
    names.update(r.costs)
    if r.costs:
        names.update(purchase=r.costs["purchase"] or 0, energy=r.costs["energy"] or 0)
    names.update(
        concurrency=r.concurrency, effective_context=q.effective_context, output_tokens=q.output,
        max_position_embeddings=model.max_position_embeddings, hidden_size=model.hidden_size,
        throughput_read_gbps=q.storage.throughput_read_gbps, kv_budget_bytes=q.budget_bytes,
        plan_sessions=q.plan_sessions(offer.unit), ha_spares=q.spares, full_sessions=full,
        recovering_nodes=offer.unit if shared else 1,
        starting_nodes=r.nodes_final if shared else 1,
        planned_sessions=planned if q.concurrency else float(planned),
        full_latency_seconds=float(planned / q.requests_per_second)
        if q.requests_per_second else None,
        max_concurrency=r.concurrency if r.asks == "sessions" else None,
        nodes_bought=r.nodes_final if r.asks == "nodes" else None,
        objective_sessions=offer.sessions if offer.limited_by in ("tpot", "ttft") else None)
    if layout:
        limit = max(layout.sessions_per_replica // layout.data_parallel, q.max_num_seqs)
        ways = layout.tensor_parallel, layout.data_parallel
        kept = names["sessions_per_unit"]
        names.update(vars(layout), **weight_parts(q, *ways), **activation_parts(q, *ways, limit))
        names.update(zip(("activation_bytes", "non_torch_bytes", "cuda_graphs_bytes"),
                         layout.runtime_parts), session_bytes_per_gpu=layout.session_bytes,
                     sequences_limit=limit, ceiling_sessions=layout.sessions_per_unit,
                     sessions_per_unit=kept)
    if r.nominal and offer.speed:
        case, speed, sessions = r.nominal, offer.speed, r.nominal["sessions_per_replica"]
        names.update(speed.terms, **case["breakdown_ms"])
        names.update(
            replica_sessions=sessions, parallel=int(speed.terms["replica_gpus"] > 1),
            scale=speed.scale, rows=speed.loaded(sessions)[0], input_tokens=case["input_tokens"],
            moe_layers=model.moe_layers or 0, indexer_layers=model.indexer_layers,
            spread_seconds=speed.spread_seconds, prefill_seconds=speed.prefill_seconds,
            alone_seconds=speed.alone_seconds, tpot_ms=case["tpot_ms"]["estimate"],
            ttft_ms=speed.ttft_ms(sessions),
            session_rate=case["output_tokens_per_second_per_session"],
            node_rate=case["output_tokens_per_second_per_node"])
    return names


def alternatives(r: SizingResult, servers: Sequence[Server], default_overhead: bool) -> List[Json]:
    """O que mudaria a resposta, uma escolha por vez: {change, answer} (None: nada cabe)."""
    q = r.question
    if r.asks == "sessions":
        q = q.under(concurrency=0)
    if r.asks == "context":
        q = replace(q, requested_context=0)
    other = "fp16" if q.element_bytes == 1 else "fp8"
    options = [("KV em " + other, replace(q, kv_precision=other))]
    half = replace(q, requested_context=q.effective_context // 2)
    if r.asks != "context" and half.effective_context and half.request_fits:
        options.append(("metade do contexto, %d tokens" % half.effective_context, half))
    larger = [server for server in servers if server.total_hbm_gb > q.server.total_hbm_gb]
    if larger:
        server = min(larger, key=lambda item: item.total_hbm_gb)
        options.append(("o servidor seguinte em HBM, %s (%s por nó)" % (
            server.name, plural(server.gpus, "GPU")), replace(
                on_server(q, server, default_overhead), tensor_parallel=None)))
    found = []
    for change, option in options:
        try:
            answer: Optional[int] = size(option).answer
        except SizingError:
            answer = None
        found.append({"change": change, "answer": answer})
    return found


def launch_lines(r: SizingResult) -> List[str]:
    """O comando do motor que põe o leiaute no ar, com comentários do que falta fazer à mão."""
    q, layout, model, gpus = r.question, r.offer.layout, r.question.model, r.question.server.gpus
    if layout is None:
        return ["# sem o teto físico não há leiaute; falta no catálogo: " + ", ".join(r.missing)]
    if q.kv_precision == "int8":
        return ["# o vLLM não serve KV em int8; use --kv-precision fp8, do mesmo tamanho"]
    replicas, nodes, dp = layout.replicas_per_unit, layout.nodes_per_unit, layout.data_parallel
    notes, words = [], ["vllm serve " + (model.hf_id or "CAMINHO_DO_MODELO")]
    if q.precision == "fp8" and model.native_precision in ("bf16", "fp16"):
        words.append("--quantization fp8")
    elif q.precision != model.native_precision:
        notes.append("# pesos em %s: use um checkpoint nesta precisão" % q.precision)
    words.append("--tensor-parallel-size %d" % layout.tensor_parallel)
    if dp > 1:
        words.append("--data-parallel-size %d --enable-expert-parallel" % dp)
    if q.element_bytes == 2:
        notes.append("# KV no tipo do modelo, de 16 bits como %s" % q.kv_precision)
    if nodes > 1:
        notes += ["# em cada nó da réplica, com N=0 a %d (0 é o IP_DO_NÓ_0); de N=1 em diante,"
                  % (nodes - 1), "# acrescente --headless"]
        words += ["--data-parallel-size-local %d" % gpus,
                  "--data-parallel-start-rank $((N*%d))" % gpus,
                  "--data-parallel-address IP_DO_NÓ_0"] if dp > 1 else [
                      "--nnodes %d" % nodes, "--node-rank $N", "--master-addr IP_DO_NÓ_0"]
    words += [
        "--max-model-len %d" % q.effective_context,
        "--kv-cache-dtype %s" % ("fp8" if q.kv_precision == "fp8" else "auto"),
        "--gpu-memory-utilization %s" % decimal_text(q.gpu_memory_utilization, 4),
        "--max-num-seqs %d" % ceil_div(r.offer.sessions, replicas * dp),
        "--max-num-batched-tokens %d" % q.max_num_batched_tokens]
    words += [model.launch_args] if model.launch_args else []
    if replicas > 1:
        notes.append("# %d processos por nó: o processo i usa as GPUs a partir de i*%d e a porta "
                     "8000+i" % (replicas, layout.gpus))
        words.insert(0, "CUDA_VISIBLE_DEVICES=" + ",".join(map(str, range(layout.gpus))))
        words.append("--port 8000")
    lines = folded(" ".join(word.replace(" ", GLUE) for word in words), 4, WIDTH - 2)
    return [*notes, *(line + " \\" for line in lines[:-1]), lines[-1]]


def explanation_of(r: SizingResult, servers: Sequence[Server], default_overhead: bool) -> Json:
    """Tudo o que `--explain` mostra; os leiautes, do escolhido ao pior."""
    q = r.question
    return {"figures": [dict(row, value=json_number(row["value"])) for row in figures_of(r)],
            "layouts": [{"layout": str(offer.layout), "nodes_per_unit": offer.unit,
                         "ceiling_sessions": offer.layout.sessions_per_unit,
                         "sessions": offer.sessions, "limited_by": offer.limited_by,
                         "nodes": offer.bought(q) if offer.sessions else None}
                        for offer in r.offers if offer.layout],
            "alternatives": alternatives(r, servers, default_overhead),
            "launch": launch_lines(r)}


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
    """A resposta em uma frase."""
    q, load = r.question, sessions_text(r.concurrency)
    product = "%s (%s)" % (q.server.product, q.server.name) if q.server.product else q.server.name
    if q.requests_per_second is not None:
        load = "%s/s (%s)" % ("1 pedido" if q.requests_per_second == 1 else
                              number_text(q.requests_per_second, 9) + " pedidos", load)
    return "%d × %s: %s, %s%s × %s%s, KV %s" % (
        r.nodes_final, product, q.model.name, "até " * (r.asks == "sessions"), load,
        "até " * (r.asks == "context"), plural(q.effective_context, "token"), q.kv_precision)


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


def answer_lines(r: SizingResult) -> List[str]:
    """Nós, sessões por nó, KV por sessão e o que resta numa falha."""
    q, unit, layout, failed = r.question, r.offer.unit, r.offer.layout, r.ha_plan["failed_nodes"]
    ha, peak = q.ha_mode.upper(), "com pico de %s (%s)" % (
        percent_text(q.peak_headroom_ratio), sessions_text(r.peak_sessions))
    if r.asks == "nodes":
        steps = "capacidade pura %d → %s %d → %s" % (
            r.nodes_minimum, peak, r.nodes_with_headroom,
            "com%s%s%s%d" % (GLUE, ha, GLUE, r.nodes_final) if q.spares else "sem" + GLUE + "HA")
    elif r.asks == "load":
        steps = "a carga cabe em %s (%s); o mínimo é %d" % (
            plural(r.nodes_final, "nó"), plural(r.spare_sessions, "vaga livre", "vagas livres"),
            r.nodes_minimum)
    else:
        steps = "%s: %s %s" % (plural(r.nodes_final, "dado"), peak,
                               "com %s à parte" % ha if q.spares else "sem HA")
    rows = [("Nós", steps), ("Sessões/" + unit_text(unit), limit_text(r))]
    if r.nodes_other_end is not None:
        rows.append(("", "com o prefixo em cache (+%d tokens por pedido): %s" % (
            TURN_TOKENS, plural(r.nodes_other_end, "nó"))))
    if layout:
        others = ["; %s:%s%d" % (str(item.layout).replace(" ", GLUE), GLUE,
                                 item.layout.sessions_per_unit)
                  for item in r.offers[1:] if item.layout and item.layout.sessions_per_unit]
        rows.append(("", "teto físico: ~%d (%s)%s%s" % (
            layout.sessions_per_unit, layout, "".join(others[:3]), "; …" * (len(others) > 3))))
    rows += [("KV por sessão", "%s (%s: %s)%s" % (
                 size_text(q.kv_bytes), sessions_text(r.concurrency),
                 size_text(q.kv_bytes * r.concurrency),
                 "; %s sem janelas" % size_text(r.upper_kv_bytes)
                 if r.upper_kv_bytes > q.kv_bytes else "")),
             ("Se um nó cair" if failed == 1 else "Se %d caírem" % failed, failure_text(r)),
             ("Instalação", physical_text(r))]
    rows += [("Custo", cost_text(r))] if r.costs else []
    if r.results.get("by_context"):
        rows.append(("Por contexto", "; ".join("%d:%s%d" % (
            item["effective_context"], GLUE, item["max_concurrency"])
            for item in r.results["by_context"])))
    return [line for label, text in rows for line in folded("%-14s %s" % (label, text), 15)]


def physical_text(r: SizingResult) -> str:
    """Energia, espaço e os tempos de carga."""
    parts = []
    for name, one, many in (("power_kw", "kW", "kW"), ("rack_units", "U", "U"),
                            ("racks", "rack", "racks")):
        value = r.physical[name]
        if value:
            parts.append("%s %s" % (decimal_text(value, 2) if value < 10**7 else "%.3g" % value,
                                    one if value == 1 else many))
    one, cold = r.storage_plan["node_recovery_seconds"], r.storage_plan["cold_start_seconds"]
    if cold is not None:
        parts.append("carga %s (um nó ou todos)" % seconds_text(one) if one == cold else
                     "carga de um nó %s, de todos %s" % (seconds_text(one), seconds_text(cold)))
    return "; ".join(parts) or "o catálogo não diz energia, espaço nem pesos"


def cost_text(r: SizingResult) -> str:
    """O custo com os preços dados."""
    costs, years, parts = r.costs, r.question.years, []
    lacking = [label for name, label in (("energy", "sem a energia"), ("purchase", "sem a compra"))
               if costs[name] is None]
    for name, label in (("purchase", "compra %s"), ("energy", "energia %s"), ("total", "total %s"),
                        ("per_session_month", "%s por sessão e mês"),
                        ("per_million_output_tokens", "%s por milhão de tokens")):
        if costs[name] is not None and not (name == "total" and lacking):
            parts.append(label % money_text(costs[name]))
    return "; ".join(parts + lacking) + ("" if years is None else
                                         " (%s anos)" % decimal_text(years, 2))


def limit_text(r: SizingResult) -> str:
    """Quantas sessões cabem numa unidade e o que as limita."""
    q, offer = r.question, r.offer
    text = LIMITS[offer.limited_by]
    if offer.limited_by == "plan":
        return "%d, limite: %s (%s da HBM nominal - %s GiB por nó)" % (
            offer.sessions, text, percent_text(q.kv_budget_ratio),
            decimal_text(q.runtime_overhead_gib, 3))
    objective = {"tpot": q.max_tpot_ms, "ttft": q.max_ttft_ms}.get(offer.limited_by)
    text += " de %s ms" % number_text(objective, 9) if objective else ""
    if offer.layout and offer.speed and offer.limited_by == "ttft":
        fullest = offer.sessions // offer.layout.replicas_per_unit
        if offer.speed.prefill_ratio(fullest + 1) >= QUEUE_RATIO:
            text += ", que a fila impede acima disto"
    return "%d, limite: %s (o plano daria %d)" % (offer.sessions, text, q.plan_sessions(offer.unit))


def failure_text(r: SizingResult) -> str:
    """O que ainda é servido depois das falhas que o plano considera."""
    plan, unit = r.ha_plan, r.offer.unit
    left, admitted = plan["nodes_after_failure"], plan["sessions_after_failure"]
    if not left:
        return "nenhum nó resta: o serviço para"
    text = "%s, até %s: " % (
        plural(left, "nó") if unit == 1 else "%d de %d nós (para a unidade de %d)" % (
            left, r.nodes_final, unit), sessions_text(admitted))
    by_rate = r.question.requests_per_second is not None
    if plan["covers_peak"]:
        return text + ("pico coberto" if by_rate else "pico de %d coberto (folga %d)" % (
            r.peak_sessions, admitted - r.peak_sessions))
    if plan["covers_concurrency"]:
        return text + ("taxa nominal coberta, o pico não" if by_rate else
                       "carga nominal coberta; no pico faltam %s" % plural(
                           r.peak_sessions - admitted, "vaga"))
    return text + ("a taxa pede %d nós" % r.nodes_minimum if by_rate else
                   "faltam %s já na carga nominal" % plural(r.concurrency - admitted, "vaga"))


def hbm_lines(r: SizingResult) -> List[str]:
    """A barra de como se divide a HBM visível de um nó, com a legenda em GiB."""
    layout, gpus = r.offer.layout, r.question.server.gpus
    if layout is None:
        return []
    total = (r.question.server.hbm_usable_gib_per_gpu or 0) * GIB * gpus
    plan = layout.session_bytes * layout.tensor_parallel * Fraction(r.offer.sessions, r.offer.unit)
    parts = (("▓", "pesos", layout.weights_bytes * gpus),
             ("▒", "motor", layout.runtime_bytes * gpus), ("█", "KV das sessões", plan),
             ("░", "livre", layout.kv_capacity_bytes * gpus - plan),
             (".", "fora do motor", total - layout.usable_bytes * gpus))
    bar, legend, seen = "", [], Fraction(0)
    for mark, label, part in parts:
        seen += part
        bar += mark * (round(seen * (WIDTH - 2) / total) - len(bar))
        legend.append("%s %s %s" % (mark, label, decimal_text(Fraction(part) / GIB, 0)))
    title = "HBM por nó     %s GiB visíveis em %s; em GiB:" % (
        decimal_text(Fraction(total) / GIB, 0), plural(gpus, "GPU"))
    return [*folded(title, 15), "[%s]" % bar, *folded("  ".join(legend))]


def speed_lines(r: SizingResult) -> List[str]:
    """Uma linha por carga: TPOT, tokens/s por sessão e por nó e TTFT, com a faixa de 80%."""
    if not r.performance:
        return []
    lines, binds = ["Previsto (80%)" + "%15s%17s%17s%17s" % (
        "TPOT ms", "tok/s sessão", "tok/s nó", "TTFT ms")], []
    for case in r.performance:
        kind, nodes = "cache" if case["cached_tokens"] else "novo", case["nodes"]
        label = "%s, %s" % (kind, plural(nodes, "nó") if nodes < 100 else
                            "todos" if nodes == r.nodes_final else "falha")
        rates = [range_text(dict(case[name + "_range"], estimate=case[name])) for name in (
            "output_tokens_per_second_per_session", "output_tokens_per_second_per_node")]
        lines.append(label + range_text(case["tpot_ms"]).rjust(29 - len(label)) + "%17s%17s%17s" % (
            *rates, range_text(case["ttft_ms"]) if case["ttft_ms"] else "fila"))
        if nodes == r.nodes_final:
            binds.append("%s %d%% (%s: %s%d)" % (
                PARTS[case["binding"]], 100 * case["breakdown_ms"][case["binding"]]
                / case["tpot_ms"]["estimate"], kind, "+" if case["cached_tokens"] else "",
                case["input_tokens"]))
    outside = extrapolations(r)
    return [*lines, *folded("Domina: " + "; ".join(binds), 2),
            *(folded("Extrapolado: " + "; ".join(outside), 2) if outside else [])]


def range_text(figure: Dict[str, float]) -> str:
    """Previsto e faixa: `212 (160-300)`; milhares com k, milhões com M."""
    divisor, unit = next((size for size in ((10**6, "M"), (1000, "k"))
                          if figure["estimate"] >= 0.9995 * size[0]), (1, ""))
    estimate, low, high = (figure[key] / divisor for key in ("estimate", "low", "high"))
    if estimate < 1:
        return "%.2f (%.2f-%.2f)" % (estimate, low, high)
    return "%s%s (%s-%s)" % (number_text(estimate), unit, number_text(low, 2), number_text(high, 2))


def warning_lines(r: SizingResult, room: int) -> List[str]:
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
        value = "%s %s" % (number_text(row["value"], 9) if isinstance(row["value"], float) else
                           exact_text(row["value"]), row["unit"])
        value += " (%s)" % size_text(row["value"]) if row["unit"] == "B" else ""
        lines += ["", *folded("%s: %s" % (row["label"], value.strip()), 2)]
        for text in (row["formula"] and "%s = %s" % (row["name"], row["formula"]),
                     row["numbers"] and "= " + row["numbers"],
                     row["source"] and "fonte: " + row["source"]):
            lines += folded("  " + text, 4) if text else []
    if parts["layouts"]:
        lines += ["", "Leiautes: vence o que compra menos nós; no empate, o de mais sessões, o de "
                      "maior", "teto e o de menor tp."]
        lines += markdown_table([["leiaute", "teto", "sessões", "limite", "nós"]] + [
            [row["layout"], str(row["ceiling_sessions"]), str(row["sessions"]),
             LIMITS[row["limited_by"]], "-" if row["nodes"] is None else str(row["nodes"])]
            for row in parts["layouts"]], "lrrlr")
    lines += ["", *folded(recovery_text(r), 2)]
    lines += ["", "Avisos:" if r.warnings else "Nenhum aviso."]
    for warning in r.warnings:
        lines += folded("! " + warning, 2)
    lines += ["", "O que mudaria a resposta, uma escolha por vez:"]
    for row in parts["alternatives"]:
        lines += folded("%s: %s" % (row["change"], "nada cabe" if row["answer"] is None else
                                    plural(row["answer"], *ANSWERS[r.asks])), 2)
    return "\n".join([*lines, "", "Para pôr no ar (%s):" % ENGINE, *parts["launch"], ""])


def recovery_text(r: SizingResult) -> str:
    """O que acontece de uma falha até o nó voltar."""
    plan, ha = r.storage_plan, r.ha_plan
    text = "Se %s: %s. Cada nó que cai interrompe %s, que perdem o KV" % (
        "um nó cair" if ha["failed_nodes"] == 1 else "%d caírem" % ha["failed_nodes"],
        failure_text(r), sessions_text(ha["interrupted_sessions"]))
    if plan["kv_faster"]:
        text += "; o de cada uma volta do storage em %s, contra %s de prefill: ganha %s" % (
            seconds_text(plan["kv_restore_seconds"]), seconds_text(plan["kv_recompute_seconds"]),
            "o storage" if plan["kv_faster"] == "restore" else "o prefill")
    if plan["node_recovery_seconds"] is not None:
        text += (
            ". O nó volta em %s e todos, a frio, em %s, com o carregador padrão de até %d GB/s e "
            "%d s de partida do motor (15 a 400 s, conforme o modelo e os kernels em cache)"
            % (seconds_text(plan["node_recovery_seconds"]),
               seconds_text(plan["cold_start_seconds"]), LOADER_GBPS, ENGINE_START_SECONDS))
    if ha["meets_objectives"] is not None:
        text += ". A carga nominal %s aos objetivos" % (
            "ainda atende" if ha["meets_objectives"] else "já não cabe e não atende")
    return text + "."


def json_document(r: SizingResult) -> Json:
    """O resultado como documento JSON (schema_version 1): bytes inteiros e GiB arredondados."""
    q = r.question
    blocks = {
        **asked_json(q, r.asks, concurrency=r.concurrency), "results": r.results,
        "engine": r.offer.layout and engine_json(r, r.offer.layout),
        "performance": performance_json(r), "storage_plan": r.storage_plan,
        "ha_plan": r.ha_plan, "physical": numbers(r.physical), "costs": numbers(r.costs),
        "warnings": list(r.warnings)}
    return {name: block for name, block in blocks.items()
            if block or name not in ("engine", "costs")}


def asked_json(q: Question, asks: str, **known: Any) -> Json:
    """O que foi perguntado, com os padrões."""
    parameters = numbers({name: getattr(q, name) for name in q.__dataclass_fields__
                          if name not in ("model", "server", "storage")})
    return {"schema_version": 1, "question": asks, "model": q.model.document,
            "server": q.server.document, "storage": q.storage.document,
            "parameters": dict(parameters, effective_context=q.effective_context,
                               output_tokens=q.output, **known)}


def refused_json(q: Question, error: SizingError) -> Json:
    """Uma linha de comparação sem resposta: `results` null e o porquê em `error`."""
    return dict(asked_json(q, q.asks), results=None, error=str(error))


def performance_json(r: SizingResult) -> Optional[Json]:
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
    tokens = layout.kv_capacity_bytes * layout.data_parallel * q.effective_context
    key = ("engine", *layouts)
    if key not in q.memory:
        q.memory[key] = {
            "engine": ENGINE, "layout": str(layout), "tensor_parallel": layout.tensor_parallel,
            "data_parallel": layout.data_parallel,
            "sessions_per_replica": layout.sessions_per_replica,
            "replicas_per_node": layout.replicas_per_unit // unit, "nodes_per_replica": unit,
            "gpu_memory_utilization": json_number(q.gpu_memory_utilization),
            "hbm_usable_gib_per_gpu": q.server.document["hbm_usable_gib_per_gpu"],
            "weights_gib_per_gpu": gib(layout.weights_bytes),
            "runtime_gib_per_gpu": gib(layout.runtime_bytes),
            "kv_capacity_gib_per_gpu": gib(layout.kv_capacity_bytes),
            "runtime_parts_gib_per_gpu": {
                name: gib(part) for name, part in zip(
                    ("activation", "non_torch", "cuda_graphs"), layout.runtime_parts)},
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


def markdown_table(rows: Sequence[Sequence[str]], sides: str) -> List[str]:
    """Uma tabela Markdown alinhada, que se lê no terminal; `sides` é l ou r por coluna."""
    widths = [max(3, *map(len, column)) for column in zip(*rows)]
    lines = ["| %s |" % " | ".join(
        cell.rjust(width) if side == "r" else cell.ljust(width)
        for cell, width, side in zip(row, widths, sides)) for row in rows]
    ruler = "|".join(":" + "-" * (width + 1) if side == "l" else "-" * (width + 1) + ":"
                     for width, side in zip(widths, sides))
    return [lines[0], "|%s|" % ruler, *lines[1:]]


# O que as linhas de uma comparação podem variar: flag → (título, como se lê da pergunta).
VARIED: Dict[str, Tuple[str, Callable[[Any], str]]] = {
    "--model": ("modelo", lambda q: q.model.name),
    "--server": ("servidor", lambda q: q.server.name),
    "--concurrency": ("sessões", lambda q: str(q.concurrency)),
    "--effective-context": ("contexto", lambda q: str(q.effective_context) + (
        " (de %d)" % q.requested_context if q.requested_context > q.effective_context else "")),
    "--kv-precision": ("KV", lambda q: q.kv_precision),
    "--ha": ("HA", lambda q: q.ha_mode)}
ANSWER_COLUMNS = {"nodes": "nós", "sessions": "mantém", "context": "até tokens", "load": "vagas"}
# Ordem das linhas → (o que é ser a melhor, o que se compara; None vem por último).
SORTS: Dict[str, Tuple[str, Callable[[Any], Any]]] = {
    "nodes": ("menos nós", lambda r: r.nodes_final),
    "sessions_per_node": ("mais sessões por nó", lambda r: -(r.offer.sessions // r.offer.unit)),
    "tpot_ms": ("menor TPOT", lambda r: r.nominal and r.nominal["tpot_ms"]["estimate"]),
    "power_kw": ("menos kW", lambda r: r.physical["power_kw"]),
    "rack_units": ("menos U", lambda r: r.physical["rack_units"])}


def rank(r: SizingResult, sort: Optional[str]) -> Tuple[Any, ...]:
    """A posição de uma linha: a ordem pedida, ou a da pergunta; no empate, nós, kW e TPOT.

    Servidores diferentes se comparam pela potência, que acompanha o preço e o espaço: um nó pode
    ser uma máquina de mesa ou um rack de 72 GPUs.
    """
    first = -r.answer if not sort and r.asks != "nodes" else SORTS[sort or "power_kw"][1](r)
    keys = [None if not (sort or r.nominal) else 0, first]
    keys += [SORTS[name][1](r) for name in ("nodes", "power_kw", "tpot_ms")]
    return tuple((key is None, key or 0) for key in keys)


def best_rows(rows: Sequence[Outcome], sort: Optional[str]) -> List[int]:
    """Os índices das melhores linhas: uma por carga (sessões, contexto e HA) com escolha."""
    groups: Dict[Any, List[int]] = {}
    for index, (q, _, _) in enumerate(rows):
        groups.setdefault((q.concurrency, q.requested_context, q.ha_mode), []).append(index)
    good = [[index for index in group if isinstance(rows[index][1], SizingResult)]
            for group in groups.values() if len(group) > 1]
    return [min(group, key=lambda index: rank(rows[index][1], sort)) for group in good if group]


def fixed_text(q: Question, varied: Sequence[str], scenario: bool) -> str:
    """O que todas as linhas de uma comparação têm em comum."""
    parts = [text for flag, text in (
        ("--model", q.model.name), ("--server", q.server.name),
        ("--concurrency", sessions_text(q.concurrency) if q.concurrency else ""),
        ("--effective-context", "%d tokens" % q.effective_context if q.requested_context else ""),
        ("--kv-precision", "KV " + q.kv_precision), ("--ha", "" if scenario else
                                                     "HA " + q.ha_mode),
        ("", "" if scenario else "pico de " + percent_text(q.peak_headroom_ratio)),
        ("", "%s pedidos/s" % number_text(q.requests_per_second, 9)
         if q.requests_per_second is not None else ""),
        ("", "%s por linha" % plural(q.nodes, "nó") if q.nodes is not None else ""))
        if text and flag not in varied]
    return ", ".join(parts)


def row_cells(outcome: Any, scenario: bool, priced: bool) -> List[str]:
    """As células da resposta de uma linha."""
    if isinstance(outcome, SizingError):
        limit = "não cabe" if outcome.status == 3 else "recusado"
        return ["-", "-", limit, "-", "-", "-"] + ["-"] * (scenario + priced)
    offer, physical = outcome.offer, outcome.physical
    cells = [str(outcome.answer), "%d%s" % (
        offer.sessions, " em %d" % offer.unit if offer.unit > 1 else ""), LIMITS[offer.limited_by],
        range_text(outcome.nominal["tpot_ms"]) if outcome.nominal else "-"]
    cells += ["-" if physical[name] is None else decimal_text(physical[name], 2)
              for name in ("power_kw", "rack_units")]
    cells += [money_text(outcome.costs["total"])] if priced else []
    return cells + ["pico %(failures_covered_peak)d, nominal %(failures_covered_nominal)d"
                    % outcome.ha_plan] * scenario


def comparison_text(rows: Sequence[Outcome], varied: Sequence[str], sort: Optional[str]) -> str:
    """A comparação como tabela Markdown; embaixo, por que não cabe o que não cabe."""
    first, scenario = rows[0][0], bool(rows[0][2])
    priced = first.node_price is not None or first.energy_price is not None
    titles = ["cenário"] * scenario + [VARIED[flag][0] for flag in varied]
    table = [["", *titles, ANSWER_COLUMNS[first.asks], "sessões/nó", "limite", "TPOT ms", "kW", "U",
              *["custo"] * priced, *["quedas cobertas"] * scenario]]
    best, reasons = set(best_rows(rows, sort)), []
    for index, (q, outcome, label) in enumerate(rows):
        about = [label] * scenario + [VARIED[flag][1](q) for flag in varied]
        table.append(["*" if index in best else "", *about, *row_cells(outcome, scenario, priced)])
        if isinstance(outcome, SizingError):
            reason = outcome.expected if outcome.status == 3 else str(outcome)
            reasons += folded("- %s: %s" % (", ".join(about), reason), 2)
    sides = "l" + "l" * scenario + "".join(
        "r" if flag in ("--concurrency", "--effective-context") else "l" for flag in varied)
    load = next((item.nominal for _, item, _ in rows
                 if isinstance(item, SizingResult) and item.nominal), None)
    notes = ["* a melhor de cada carga: " + (SORTS[sort][0] if sort else "menos kW" if (
        first.asks == "nodes") else "a maior resposta")] if best else []
    notes += ["%s: pico de %s, HA %s, %s da HBM para KV" % (
        label, percent_text(q.peak_headroom_ratio), q.ha_mode, percent_text(q.kv_budget_ratio))
        for q, _, label in rows if scenario]
    if load:
        notes.append("TPOT previsto e faixa de 80%%, %s, com todos os nós no ar" % (
            "prefixo em cache" if load["cached_tokens"] else "todo pedido com prompt novo"))
    text = [*folded(fixed_text(first, varied, scenario)), "",
            *markdown_table(table, sides + "rrlrrr" + "r" * (scenario + priced)), "", *reasons]
    return "\n".join([*text, *(folded("; ".join(notes) + ".", 2) if notes else [])]).rstrip(
        "\n") + "\n"


SHARED = ("model", "server", "storage", "engine")  # blocos que se repetem entre linhas


def json_lines(documents: Iterable[Json], ascii_only: bool) -> Iterator[str]:
    """Uma lista JSON aos pedaços, um documento por linha."""
    encode = json.JSONEncoder(ensure_ascii=ascii_only).encode
    known: Dict[int, str] = {}
    start = "[\n{"
    for document in documents:
        yield start
        start = ",\n{"
        for name in SHARED:
            if name in document:
                block = document.pop(name)
                if id(block) not in known:
                    known[id(block)] = '"%s": %s, ' % (name, encode(block))
                yield known[id(block)]
        yield encode(document)[1:]
    yield "\n]\n"


def flat(document: Json, path: str = "") -> Iterator[Tuple[str, Any]]:
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

    columns: Dict[str, int] = {}
    rows: List[List[Any]] = []
    known: Dict[int, List[Tuple[str, Any]]] = {}
    for document in documents:
        cells = []
        for name in SHARED:
            if name in document:
                block = document.pop(name)
                if id(block) not in known:
                    known[id(block)] = list(flat({name: block}))
                cells += known[id(block)]
        row: List[Any] = [""] * len(columns)
        for name, value in [*cells, *flat(document)]:
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
    titles = tuple(title.replace("_", " ") for title in titles)
    rows = [[cell_text(name, getattr(entry, name)) for name in names] for entry in entries]
    widths = [max(map(len, column)) for column in zip(titles, *rows)]
    lines = []
    for entry, row in zip([None, *entries], [titles, *rows]):
        cells = [cell.rjust(width) if name not in ("name", "product", "type", "attention_pattern")
                 else cell.ljust(width) for name, cell, width in zip(names, row, widths)]
        lines.append("  ".join(cells).rstrip())
        if entry is not None and len(names_of(entry)) > 1:
            lines += folded("  ou " + ", ".join(names_of(entry)[1:]), 5)
    return "\n".join(lines) + "\n"


def cell_text(name: str, value: Any) -> str:
    """Um valor de catálogo numa célula; `-` se não há."""
    if value is None or isinstance(value, str):
        return value or "-"
    return decimal_text(Fraction(value, GB), 1) + " GB" if name == "checkpoint_bytes" else (
        decimal_text(value, 2))


# ── Linha de comando

EXAMPLES = """exemplos:
  python3 sizing.py --model opt-oss-120b --server dgx300 --concurrency 1000 \\
      --effective-context 128k --ha n+1
  python3 sizing.py --model opt-oss-20b --server dgx200 --concurrency 500 \\
      --effective-context 64k --kv-precision fp16 --json
  python3 sizing.py --list models

status de saída: 0 respondido; 1 a saída não pôde ser escrita; 2 pergunta ou
catálogo errado; 3 pergunta correta, mas nada cabe."""

# A ajuda e a lista das flags: `flag VALOR: texto`, ou `flag: texto` sem valor; o nome do valor diz
# o tipo de número, em `NUMBERS`.
FLAGS_TEXT = """
pergunta
--model NOME: modelo do catálogo (obrigatório, ou --hf-config)
--hf-config ARQUIVO: no lugar de --model, o config.json de um modelo do Hugging Face
--weights-gib GIB: com --hf-config, o tamanho dos pesos (padrão: o do índice ou o calculado)
--server NOME: servidor do catálogo (obrigatório)
--concurrency N: sessões simultâneas, como 1000 ou 1k (padrão: quantas --nodes mantém)
--requests-per-second TAXA: no lugar de --concurrency, pedidos por segundo
--effective-context TOKENS: tokens por sessão, como 131072 ou 128k (padrão: o máximo do modelo)
--input-tokens TOKENS: tokens novos por pedido; o resto do contexto está em cache (padrão: as duas
  pontas, prompt todo novo e +1024 tokens)
--output-tokens TOKENS: tokens gerados por pedido (padrão: até 1024 e até metade do contexto)
--max-tpot-ms MS: objetivo de tempo por token
--max-ttft-ms MS: objetivo de tempo até o primeiro token
--nodes N: os nós que existem: quantas sessões mantêm; com --concurrency, até que contexto; com
  as duas e --effective-context, se a carga cabe (padrão, sem --concurrency: 1)
--scenarios: mínimo, recomendado e ideal lado a lado
--calibrate-tpot-ms MS@SESSÕES: um TPOT medido, com tantas sessões na réplica, escala a previsão
--storage NOME: perfil de storage, para o tempo de carga (padrão: profile_default)
política
--kv-precision P: fp8, fp16, bf16 ou int8 (padrão: a do modelo)
--kv-budget-ratio RAZÃO: parte da HBM planejada para KV (padrão: 0.70)
--runtime-overhead-gib GIB: GiB por nó retirados dessa parte (padrão: 15 por GPU)
--peak-headroom-ratio PICO: pico acima da concorrência (padrão: 20%%)
--ha MODO: nós de reserva: none, n+1 ou n+2 (padrão: none)
--gpu-memory-utilization RAZÃO: parte da HBM de cada GPU que o motor usa (padrão: 0.90)
--tensor-parallel GPUS: GPUs por réplica (padrão: auto, o leiaute que compra menos nós)
--weights-precision P: bf16, fp16, fp8, int8, mxfp4, nvfp4 ou int4 (padrão: a do checkpoint)
energia e dinheiro
--pue PUE: energia do prédio sobre a dos servidores (padrão: 1.3)
--node-price PREÇO: preço de um nó, em qualquer moeda
--energy-price PREÇO: preço do kWh, na mesma moeda
--years ANOS: período do custo
saída
--explain: cada número com a fórmula e os valores, e o comando do motor
--json: escreve um documento JSON e nada mais
--csv: escreve uma tabela CSV, com uma coluna por valor do JSON
--sort COLUNA: ordena a comparação: nodes, sessions_per_node, tpot_ms, power_kw ou rack_units
--list CATÁLOGO: lista models, servers ou storage
--validate: verifica os três catálogos e lista todos os problemas
--print-model: com --hf-config, mostra a entrada para colar em models.json
--version: mostra a versão
--help: mostra esta ajuda
catálogos (padrão: os que estão ao lado de sizing.py)
--models-file ARQUIVO: modelos (models.json)
--servers-file ARQUIVO: servidores (servers.json)
--storage-file ARQUIVO: perfis de storage (storage.json)
"""


ALSO = {"--json": ("--json-only",), "--help": ("-h",)}
CATALOGUE_FLAGS = "--json --csv --models-file --servers-file --storage-file"
# O que dispensa a pergunta, com as únicas flags que aceita ao lado.
STANDALONE = {"--version": CATALOGUE_FLAGS, "--list": CATALOGUE_FLAGS,
              "--validate": CATALOGUE_FLAGS,
              "--print-model": "--json --hf-config --weights-gib --effective-context"}
# Flag → as que não se combinam com ela.
EXCLUSIVE = {"--hf-config": "--model --models-file", "--weights-gib": "--weights-precision",
             "--requests-per-second": "--concurrency", "--json": "--csv",
             "--explain": "--csv --scenarios", "--scenarios": "--ha"}
# Flag → as que lhe dão efeito: uma delas é preciso.
NEEDED = {"--weights-gib": "--hf-config", "--energy-price": "--years",
          "--years": "--node-price --energy-price"}
CHOICES: Dict[str, Any] = {"--ha": HA_SPARES, "--kv-precision": KV_PRECISIONS,
                           "--weights-precision": WEIGHT_BITS, "--sort": SORTS}
UNITS = {"k": 1000, "m": 10**6}
TOKENS = {"k": 1024, "m": 1024**2}
RATIO = {"%": Fraction(1, 100)}
# Nome do valor → (sufixos, só inteiros?, faixa, esperado).
NUMBERS: Dict[str, Tuple[Json, bool, Callable[[Fraction], bool], str]] = {
    "N": (UNITS, True, lambda v: v > 0, "um inteiro positivo, como 1000, 1e3 ou 1k"),
    "GPUS": (UNITS, True, lambda v: v > 0, "auto ou um inteiro positivo de GPUs"),
    "TOKENS": (TOKENS, True, lambda v: v > 0,
               "um inteiro positivo de tokens, como 131072 ou 128k"),
    "TAXA": (UNITS, False, lambda v: v > 0, "um número positivo de pedidos por segundo"),
    "MS": (UNITS, False, lambda v: v > 0, "um número positivo de milissegundos"),
    "GIB": (UNITS, False, lambda v: v > 0, "um número positivo de GiB"),
    "RAZÃO": (RATIO, False, lambda v: 0 < v <= 1, "uma razão acima de 0 e até 1, como 0.7 ou 70%"),
    "PICO": (RATIO, False, lambda v: v >= 0, "uma razão de 0 em diante, como 0.2 ou 20%"),
    "PUE": (UNITS, False, lambda v: 1 <= v <= 10, "um número de 1 a 10"),
    "PREÇO": (UNITS, False, lambda v: v > 0, "um número positivo, em qualquer moeda"),
    "ANOS": (UNITS, False, lambda v: 0 < v <= 100, "um número de anos até 100")}


class Parser(argparse.ArgumentParser):
    """`argparse` cujos erros são `SizingError`, em português."""

    def error(self, message: str) -> Any:
        """Levanta o erro que o argparse descreve em inglês."""
        match = re.match(r"argument ([^/:]+).*?: (expected|ignored explicit argument) ?(.*)",
                         message, re.S)
        if match:
            raise SizingError(match[1], "falta o valor" if match[2] == "expected" else
                              "não aceita valor (recebeu %s)" % match[3])
        raise SizingError("linha de comando", message)


def flag_rows() -> Iterator[Tuple[str, str, str]]:
    """(flag, nome do valor, ajuda) de cada flag; ("", "", título) de cada grupo."""
    for line in FLAGS_TEXT.replace("\n  ", " ").strip().splitlines():
        head, _, text = line.partition(": ")
        flag, _, metavar = head.partition(" ")
        yield (flag, metavar, text) if line.startswith("--") else ("", "", line)


def build_parser() -> Parser:
    """O leitor da linha de comando; largura fixa, para que a ajuda não dependa do terminal."""
    # O argparse procuraria traduções dos seus textos, que aqui não aparecem: 2% da partida.
    vars(argparse)["_"] = str
    parser = Parser(
        prog="sizing.py", usage=argparse.SUPPRESS, add_help=False, allow_abbrev=False,
        description="Quantos servidores NVIDIA servem N sessões simultâneas de um LLM, e a que\n"
                    "velocidade.\n\n"
                    "uso: python3 sizing.py --model NOME --server NOME --concurrency N [opções]",
        epilog=EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=32, width=WIDTH))
    group: Any = parser
    for flag, metavar, text in flag_rows():
        if not flag:
            group = parser.add_argument_group(text)
        elif metavar:
            group.add_argument(flag, dest=flag, metavar=metavar, help=text)
        else:
            group.add_argument(flag, *ALSO.get(flag, ()), dest=flag, action="store_const",
                               const="", help=text)
    return parser


def parse_arguments(argv: Sequence[str]) -> Dict[str, str]:
    """O texto de cada flag dada, vazio nas que não têm valor. Levanta `SizingError`."""
    takes_value = {flag for flag, metavar, _ in flag_rows() if metavar}
    words: List[str] = []
    for word in argv:  # `--flag -1e5`: o argparse tomaria o valor negativo por outra flag
        if words and words[-1] in takes_value and word[:1] == "-" != word[1:2]:
            words[-1] += "=" + word
        else:
            words.append(word)
    args, unknown = build_parser().parse_known_args(words)
    if unknown:
        raise SizingError("argumento desconhecido", "veja --help" + nearest(
            unknown[0], [flag for flag, _, _ in flag_rows()]), value=unknown[0])
    return {flag: "--" if isinstance(text, list) else text  # ele lê `--flag=--` como uma lista
            for flag, text in vars(args).items() if text is not None}


def quantity(flag: str, metavar: str, text: str) -> Union[Exact, float]:
    """O número exato de uma flag numérica. Levanta `SizingError`."""
    suffixes, whole, accepts, expected = NUMBERS[metavar]
    suffix = text[-1:].lower() if text[-1:].lower() in suffixes else ""
    body = text[:len(text) - len(suffix)]
    number, hint = exact_decimal(body), ""
    if number is not None:
        value = number * Fraction(suffixes.get(suffix, 1))
        if whole and "." in body and not (suffix or "e" in body.lower()):
            if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{3})+", body):
                hint = "; o milhar não se separa: escreva " + body.replace(".", "")
        elif suffixes is RATIO and value > 1 and not suffix and accepts(value):
            hint = "; acima de 1 diga a porcentagem: %s%% ou %s%%?" % (
                body, decimal_text(value * 100, 2))
        elif accepts(value) and (value.denominator == 1 or not whole):
            # A velocidade é uma previsão: milissegundos não decidem um piso exato.
            return int(value) if whole else float(value) if metavar == "MS" else value
    elif "," in text:
        hint = "; sem vírgula: a casa decimal é um ponto e o milhar não se separa"
    elif re.fullmatch(r"[+-]?[0-9_.]+([eE][+-]?[0-9]+)?", body):
        hint = "; até %d dígitos e expoente até %d" % (MAX_DIGITS, MAX_DIGITS)
    raise SizingError(flag, "espera-se " + expected + hint, value=text)


def choice(flag: str, text: str, choices: Sequence[str]) -> str:
    """Um dos textos de `choices`, sem diferenciar maiúsculas. Levanta `SizingError`."""
    if text.lower() in choices:
        return text.lower()
    raise SizingError(flag, "espera-se um destes: " + ", ".join(choices)
                      + nearest(text, list(choices)), value=text)


def measured_point(flag: str, text: str) -> Tuple[float, int]:
    """(ms, sessões) de --calibrate-tpot-ms. Levanta `SizingError`."""
    ms, _, sessions = text.partition("@")
    measured, count = exact_decimal(ms), exact_decimal(sessions)
    if not measured or not count or min(measured, count) < 0 or count.denominator > 1:
        raise SizingError(flag, "espera-se MS@SESSÕES, como 38.5@64: um número positivo de "
                          "milissegundos e um inteiro positivo de sessões", value=text)
    return float(measured), int(count)


def values_of(given: Dict[str, str]) -> Json:
    """Flag → o valor das numéricas e de escolha dadas; uma lista nas de `VARIED`.

    Levanta `SizingError` com a flag e o elemento.
    """
    values: Json = {}
    for flag, metavar, _ in flag_rows():
        text = given.get(flag, "")
        if flag not in given or not (metavar in NUMBERS or flag in CHOICES
                                     or metavar == "MS@SESSÕES"):
            continue
        found: List[Any] = []
        for element in text.split(",") if flag in VARIED else [text]:
            if element != text and re.fullmatch("0[0-9]+", element):
                raise SizingError(flag, "a vírgula separa os valores a comparar, e o milhar não "
                                  "se separa", value=text)
            try:
                if flag in CHOICES:
                    found.append(choice(flag, element, tuple(CHOICES[flag])))
                elif metavar == "MS@SESSÕES":
                    found.append(measured_point(flag, element))
                else:
                    found.append(None if (metavar, text.lower()) == ("GPUS", "auto") else
                                 quantity(flag, metavar, element))
            except SizingError as error:
                error.expected += "; a vírgula separa os valores a comparar" * (element != text)
                raise
        values[flag] = found if flag in VARIED else found[0]
    return values


def file_of(given: Dict[str, str], kind: str) -> Tuple[str, str]:
    """(caminho, nome nas mensagens) de um catálogo: o da flag, ou o que está ao lado do script."""
    path = given.get("--%s-file" % kind)
    if path is not None:
        return path, path or "''"
    beside = os.path.dirname(os.path.realpath(__file__))
    return os.path.join(beside, kind + ".json"), kind + ".json"


def os_reason(error: OSError) -> str:
    """Por que o sistema recusou, em português."""
    import errno

    reasons = {errno.ENOENT: "o arquivo não existe", errno.EISDIR: "é um diretório",
               errno.EACCES: "sem permissão", errno.ENOSPC: "não há espaço no disco"}
    return reasons.get(error.errno or 0) or "erro %s do sistema" % (
        errno.errorcode.get(error.errno or 0, error.errno))


def read_file(path: str, shown: str) -> bytes:
    """O conteúdo de um arquivo. Levanta `SizingError`."""
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


def read_catalogue(given: Dict[str, str], kind: str) -> Tuple[List[Any], List[SizingError]]:
    """Lê e verifica um catálogo: (entradas, problemas)."""
    path, shown = file_of(given, kind)
    try:
        return load_catalogue(kind, shown, read_file(path, shown))
    except SizingError as error:
        return [], [error]


def require_catalogue(given: Dict[str, str], kind: str) -> List[Any]:
    """As entradas de um catálogo sem problemas. Levanta o primeiro `SizingError` que houver."""
    entries, problems = read_catalogue(given, kind)
    if problems:
        if len(problems) > 1:
            problems[0].expected += " (e mais %s: veja --validate)" % plural(
                len(problems) - 1, "problema")
        raise problems[0]
    return entries


def hf_model(given: Dict[str, str], values: Json) -> Tuple[Model, Json]:
    """(modelo, entrada de `models.json`) de --hf-config, verificada como as do catálogo.

    Levanta `SizingError`.
    """
    path = given["--hf-config"]
    config, _, _ = parse_json(path, read_file(path, path))
    folder, base = os.path.split(os.path.abspath(path))
    stem = base.rsplit(".", 1)[0]
    name = "".join(c if c in NAME_CHARACTERS else "-" for c in
                   (os.path.basename(folder) if stem == "config" else stem).lower())[:80]
    weights, contexts = values.get("--weights-gib"), values.get("--effective-context", [])
    index, index_bytes = os.path.join(folder, "model.safetensors.index.json"), None
    if weights is None and os.path.exists(index):
        content, _, _ = parse_json(index, read_file(index, index))
        index_bytes = HfConfig(index, content).child("metadata").count("total_size", high=10**15)
    entry = model_from_hf_config(path, config, name or "modelo", index_bytes,
                                 weights and ceil_div(weights * GIB, 1),
                                 contexts[0] if len(contexts) == 1 else None)
    models, problems = check_document("models", {"models": [entry]})
    for place, value, expected in problems:
        raise SizingError(path, expected, path=place[2:], value=value)
    return models[0], entry


def check_combination(given: Dict[str, str]) -> None:
    """Levanta `SizingError` se falta uma flag na pergunta ou se duas não se combinam."""
    missing = [flag for flag in ("--hf-config" if "--hf-config" in given else "--model",
                                 "--server") if flag not in given]
    if missing:
        raise SizingError("pergunta incompleta", "%s %s; veja --help" % (
            "falta" if len(missing) == 1 else "faltam", ", ".join(missing)))
    for flag, others in NEEDED.items():
        if flag in given and not given.keys() & set(others.split()):
            raise SizingError(flag, "só tem efeito com " + " ou ".join(others.split()))
    exclusive = dict(EXCLUSIVE)
    if "--nodes" in given and ("--concurrency" in given or "--requests-per-second" in given):
        exclusive["--nodes"] = "--peak-headroom-ratio --ha --scenarios" if (
            "--effective-context" in given) else "--calibrate-tpot-ms"  # medido num contexto
    for flag, others in exclusive.items():
        for other in others.split():
            if flag in given and other in given:
                raise SizingError(flag, "não se combina com " + other)
    several = [flag for flag in VARIED if "," in given.get(flag, "")
               or given.get(flag, "").lower() == "all"]
    for flag in ("--explain", "--scenarios", "--calibrate-tpot-ms"):
        if flag in given and several:
            raise SizingError(flag, "não aceita comparar: dê um só valor a " + several[0])
    if "--sort" in given and not (several or "--scenarios" in given):
        raise SizingError("--sort", "só tem efeito numa comparação: dê uma lista, como --server "
                          "dgx300,dgx200")


def named(given: Dict[str, str], kind: str, flag: str, default: str = "") -> List[Any]:
    """As entradas de um catálogo que uma flag nomeia; `all` são todas. Levanta `SizingError`."""
    entries = require_catalogue(given, kind)
    return [entry for name in given.get(flag, default).split(",") for entry in (
        entries if name.lower() == "all" else [find_entry(kind, flag, name, entries)])]


def questions_of(given: Dict[str, str]) -> Iterator[Tuple[Question, str]]:
    """(pergunta, cenário) de cada combinação das flags. Levanta `SizingError`."""
    check_combination(given)
    values = values_of(given)  # antes dos catálogos: uma flag errada vale mais
    models = [hf_model(given, values)[0]] if "--hf-config" in given else named(
        given, "models", "--model")
    servers = named(given, "servers", "--server")
    if "," in given.get("--storage", ""):
        raise SizingError("--storage", "não aceita comparar: dê um só", value=given["--storage"])
    scalars = {flag[2:].replace("-", "_"): value for flag, value in values.items()
               if flag not in VARIED}
    scalars.update(storage=named(given, "storage", "--storage", "profile_default")[0],
                   calibration=scalars.get("calibrate_tpot_ms"))
    loaded = "--concurrency" in given or "--requests-per-second" in given
    longest = loaded and "--nodes" in given and "--effective-context" not in given
    if not loaded:
        scalars.setdefault("nodes", 1)
    elif "--nodes" in given and not longest:  # a carga fixa se toma ao pé da letra
        scalars["peak_headroom_ratio"] = Fraction(0)
    for model in models:
        for server in servers:
            scalars["runtime_overhead_gib"] = values.get(
                "--runtime-overhead-gib", DEFAULT_OVERHEAD_GIB_PER_GPU * server.gpus)
            bases = [question(dict(scalars, model=model, server=server, kv_precision=precision,
                                   requested_context=context))
                     for context in values.get("--effective-context", [
                         0 if longest else model.max_position_embeddings])
                     for precision in values.get("--kv-precision", [model.default_kv_precision])]
            for concurrency in values.get("--concurrency", [0]):
                for base in bases:
                    for ha in values.get("--ha", ["none"]):
                        q = base.under(concurrency=concurrency, ha_mode=ha)
                        yield from scenarios_of(q) if "--scenarios" in given else [(q, "")]


def question(fields: Json) -> Question:
    """A pergunta com os campos que são dela."""
    return Question(**{name: value for name, value in fields.items()
                       if name in Question.__dataclass_fields__})


def scenarios_of(q: Question) -> Iterator[Tuple[Question, str]]:
    """Os três cenários: sem folga; com o pico e n+1; e com 30%, n+2 e até 65% da HBM para KV."""
    yield q.under(peak_headroom_ratio=Fraction(0), ha_mode="none"), "mínimo"
    yield q.under(ha_mode="n+1"), "recomendado"
    yield replace(q, ha_mode="n+2", peak_headroom_ratio=max(
        q.peak_headroom_ratio, IDEAL_HEADROOM_RATIO), kv_budget_ratio=min(
            q.kv_budget_ratio, IDEAL_KV_BUDGET_RATIO)), "ideal"


def answered(given: Dict[str, str], q: Question) -> SizingResult:
    """A resposta a uma pergunta. Levanta `SizingError`, também se uma flag não teve efeito."""
    if not q.request_fits:
        flag = "--output-tokens" if q.input_tokens is None else "--input-tokens"
        raise SizingError(flag, "com a saída de %d, não cabe no contexto de %s" % (
            q.output, plural(q.effective_context, "token")), value=str(q.input_tokens or q.output))
    result = size(q)
    for flags, useless, why in (
            ("--pue --energy-price", q.server.power_kw is None,
             "falta power_kw no catálogo, em " + q.server.name),
            ("--input-tokens --output-tokens", result.speed_gap,
             "não há velocidade prevista, " + result.speed_gap),
            ("--tensor-parallel --gpu-memory-utilization --weights-precision", result.missing,
             "o teto físico pede no catálogo " + ", ".join(result.missing))):
        for flag in flags.split():
            if useless and given.get(flag, "auto").lower() != "auto":
                raise SizingError(flag, "sem efeito: " + why)
    return result


def compared(given: Dict[str, str], questions: Sequence[Tuple[Question, str]]) -> List[Outcome]:
    """As linhas de uma comparação, em ordem. Levanta `SizingError` se nenhuma tem resposta."""
    rows: List[Outcome] = []
    total = len(questions)
    for number, (q, label) in enumerate(questions, 1):
        try:
            rows.append((q, answered(given, q), label))
        except SizingError as error:
            rows.append((q, error, label))
        terminal = sys.stderr is not None and sys.stderr.isatty()
        if terminal and total > 250 and (number % 250 == 0 or number == total):
            sys.stderr.write("\r%d de %d%s" % (number, total, "\n" if number == total else ""))
            sys.stderr.flush()
    errors = [outcome for _, outcome, _ in rows if isinstance(outcome, SizingError)]
    if len(errors) == total:
        first = next((item for item in errors if item.status == 3), errors[0])
        first.expected = "nenhuma das %d combinações tem resposta; esta: %s" % (
            total, first.expected)
        raise first
    sort = given.get("--sort", "").lower()
    if sort:
        rows.sort(key=lambda row: rank(row[1], sort) if isinstance(row[1], SizingResult)
                  else ((2, 0),))
    return rows


def sizing_text(given: Dict[str, str], ascii_only: bool) -> Union[str, Iterator[str]]:
    """A resposta à pergunta das flags, na forma pedida. Levanta `SizingError`."""
    questions = list(questions_of(given))
    if len(questions) == 1:
        return single_text(given, questions[0][0], ascii_only)
    rows = compared(given, questions)
    documents = (dict({"scenario": label} if label else {}, **(
        json_document(outcome) if isinstance(outcome, SizingResult) else refused_json(q, outcome)))
        for q, outcome, label in rows)
    if "--csv" in given:
        return csv_text(documents)
    if "--json" in given:
        return json_lines(documents, ascii_only)
    values: Json = {flag: {VARIED[flag][1](q) for q, _, _ in rows} for flag in VARIED}
    varied = [flag for flag in VARIED if len(values[flag]) > 1 and "--scenarios" not in given
              and not (flag == "--effective-context" and not questions[0][0].requested_context)]
    return comparison_text(rows, varied, given.get("--sort", "").lower())


def single_text(given: Dict[str, str], q: Question, ascii_only: bool) -> str:
    """A resposta a uma só pergunta. Levanta `SizingError`, com o que caberia."""
    servers = require_catalogue(given, "servers")
    default_overhead = "--runtime-overhead-gib" not in given
    try:
        result = answered(given, q)
    except SizingError as error:
        if error.status == 3:
            error.expected += ways_out(error, servers, default_overhead)
        raise
    if "--csv" in given:
        return csv_text([json_document(result)])
    parts = explanation_of(result, servers, default_overhead) if "--explain" in given else {}
    if "--json" in given:
        document = dict(json_document(result), **({"explanation": parts} if parts else {}))
        return json_text(document, ascii_only)
    return explanation_text(result, parts) if parts else text_report(result)


def json_text(document: Any, ascii_only: bool) -> str:
    """Um documento JSON para ler."""
    return json.dumps(document, ensure_ascii=ascii_only, indent=2) + "\n"


def validation(given: Dict[str, str]) -> Tuple[List[str], List[str]]:
    """Verifica os três catálogos: (os bons, os problemas)."""
    lines, problems = [], []
    for kind in CATALOGUES:
        entries, found = read_catalogue(given, kind)
        problems += [str(problem) for problem in found]
        if not found:
            lines.append("%s: ok, %s" % (file_of(given, kind)[1], plural(len(entries), "entrada")))
    return lines, problems


def answer(given: Dict[str, str], ascii_only: bool) -> Tuple[Union[str, Iterator[str]], int]:
    """(saída padrão, inteira ou aos pedaços; status) das flags. Levanta `SizingError`."""
    if "--help" in given:
        return build_parser().format_help(), 0
    action = next((flag for flag in STANDALONE if flag in given), "")
    if not action:
        return sizing_text(given, ascii_only), 0
    for flag in given:
        if flag not in (action, *STANDALONE[action].split()):
            raise SizingError(flag, "não tem efeito com " + action)
    text, status = "", 0
    document: Any = {"version": __version__}
    if action == "--version":
        text = "sizing.py %s\n" % __version__
    elif action == "--validate":
        lines, problems = validation(given)
        document, status = {"schema_version": 1, "problems": problems}, 2 if problems else 0
        text = "\n".join(problems or lines) + "\n"
    elif action == "--list":
        kind = choice("--list", given["--list"], tuple(CATALOGUES))
        entries = require_catalogue(given, kind)
        document, text = [entry.document for entry in entries], catalogue_table(kind, entries)
    elif "--hf-config" not in given:
        raise SizingError("--print-model", "precisa de --hf-config")
    else:
        _, document = hf_model(given, values_of(given))
    if "--csv" in given:
        return csv_text(document if isinstance(document, list) else [document]), status
    return json_text(document, ascii_only) if "--json" in given or not text else text, status


# Sem estes caracteres no terminal, valem estes; das letras acentuadas fica a letra.
PLAIN = {"▓": "%", "▒": "=", "█": "#", "░": "-", "→": ">", "×": "x", "…": ".", "·": "."}


def plain_character(error: UnicodeError) -> Tuple[str, int]:
    """Troca o que a codificação da saída não tem (para `codecs.register_error`)."""
    import unicodedata

    assert isinstance(error, UnicodeEncodeError)
    letter = error.object[error.start]
    base = unicodedata.normalize("NFKD", letter)[0]
    return PLAIN.get(letter, base if base.isascii() else "?"), error.start + 1


def encoded_for(stream: Any, text: str) -> str:
    """O texto sem o que a codificação de `stream` não sabe escrever."""
    import codecs

    encoding = stream.encoding or "ascii"
    codecs.register_error("sizing-plain", plain_character)
    return text.encode(encoding, "sizing-plain").decode(encoding)


def complain(message: str) -> None:
    """Escreve uma linha na saída de erros, se houver uma."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(encoded_for(sys.stderr, message + "\n"))
            sys.stderr.flush()
        except OSError:
            pass


def emit(text: Union[str, Iterable[str]]) -> int:
    """Escreve a saída padrão; status 1 se não pôde (sem mensagem se o leitor fechou o pipe)."""
    if sys.stdout is None:
        complain("sizing.py: a saída padrão está fechada")
        return 1
    try:
        for piece in [text] if isinstance(text, str) else text:
            sys.stdout.write(encoded_for(sys.stdout, piece))
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            complain("sizing.py: a saída não pôde ser escrita: " + os_reason(error))
        return 1
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Executa a linha de comando e devolve o status de saída."""
    utf8 = sys.stdout is not None and (sys.stdout.encoding or "").lower().startswith("utf")
    try:
        text, status = answer(parse_arguments(sys.argv[1:] if argv is None else argv), not utf8)
    except SizingError as error:
        complain("sizing.py: %s" % error)
        return error.status
    except KeyboardInterrupt:
        return 130
    return emit(text) or status


if __name__ == "__main__":
    # Tudo já foi escrito: desmontar o interpretador custaria 10% da execução e, com a saída
    # quebrada, uma segunda mensagem.
    os._exit(main())
