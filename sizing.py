#!/usr/bin/env python3
"""Dimensiona servidores NVIDIA para servir um LLM: quantos nós, por quê, a que velocidade.

Responde: quantos servidores (DGX B300, DGX H200, …) mantêm N sessões simultâneas deste modelo,
com este contexto e estes objetivos de latência, e o que acontece quando um nó cai.

    python3 sizing.py --model opt-oss-120b --server dgx300 --concurrency 1000

Fórmulas, na ordem em que são calculadas (tamanhos em bytes, n tokens, b bytes por elemento):

    KV de uma sessão     Σ grupos: camadas · 2 · kv_heads · head_dim · min(n, janela) · b
    orçamento de KV      total_hbm_gb · 10⁹ · kv_budget_ratio − runtime_overhead_gib · 2³⁰
    sessões por nó       S = ⌊orçamento / KV de uma sessão⌋
    capacidade pura      ⌈concurrency / S⌉
    com pico             ⌈concurrency · (1 + headroom) / S⌉
    com N+1, N+2         com pico + 1, com pico + 2
    TPOT                 pesos + especialistas + KV + comunicação + partida + prefill dos outros
    TTFT                 prefill de um prompt sozinho + partida + TPOT / 2

Toda conta que termina em piso ou teto usa inteiros ou frações exatas, lidas do texto decimal:
nenhum arredondamento de ponto flutuante compra ou deixa de comprar um servidor.

>>> hybrid = (full_group(18, 8, 64, 64), sliding_group(18, 8, 64, 64, window=128))
>>> session_kv_bytes(hybrid, context_tokens=131072, kv_precision="fp8")
2418278400
>>> nodes_for(1500, Fraction("0.1"), sessions_per_unit=275)
6

O módulo se lê de cima para baixo: unidades, erros, cache KV, catálogos, config.json, pergunta,
leiautes e teto físico, velocidade, nós e falhas, storage, energia e custo, `size` (que compõe
tudo), recusas, avisos, explicação, visões (texto, tabela, CSV e JSON) e linha de comando. Entre o
catálogo carregado e o texto impresso só há funções puras.
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
    Path = Tuple[Union[str, int], ...]
    Rule = Tuple[Callable[[Any], Any], str]
    Problem = Tuple[Path, Any, str]
    Range = Tuple[float, float, float]  # (previsto, baixo, alto)
    Options = Sequence[Tuple[str, bool, Any]]  # (texto, faz sentido?, pergunta)
    Outcome = Tuple[Any, Any, str]  # (pergunta, resultado ou erro, cenário)

__version__ = "1.0"

# ── Unidades e constantes ─────────────────────────────────────────────────────────────────────

GB = 10**9  # unidade dos fabricantes (HBM, discos)
GIB = 2**30  # unidade dos drivers e dos motores de inferência
TIB = 2**40

# Bytes por elemento do cache KV.
KV_PRECISIONS = {"fp8": 1, "fp16": 2, "bf16": 2, "int8": 1}
# Nós de reserva de cada modo de alta disponibilidade.
HA_SPARES = {"none": 0, "n+1": 1, "n+2": 2}

# Bits por parâmetro dos pesos, com as escalas dos blocos: (especialistas roteados, o resto);
# embeddings e cabeça ficam em 16 bits. Os formatos de 4 bits só quantizam os especialistas, ou
# todas as camadas lineares de um modelo denso.
WEIGHT_BITS: Dict[str, Tuple[Exact, Exact]] = {
    "bf16": (16, 16), "fp16": (16, 16), "fp8": (8, 8), "int8": (8, 8),
    "mxfp4": (Fraction(17, 4), 16), "nvfp4": (Fraction(9, 2), 16), "int4": (Fraction(33, 8), 16)}

# Convenção de planejamento: 70% da HBM para KV, menos 15 GiB por GPU (120 num nó de 8) para
# pesos, ativações e contexto CUDA.
DEFAULT_KV_BUDGET_RATIO = Fraction(70, 100)
DEFAULT_OVERHEAD_GIB_PER_GPU = 15
DEFAULT_PEAK_HEADROOM_RATIO = Fraction(20, 100)
DEFAULT_STORAGE = "profile_default"
DEFAULT_GPU_MEMORY_UTILIZATION = Fraction(90, 100)  # o padrão do vLLM

# O que o motor (vLLM 0.21 ou mais novo) ocupa em cada GPU além de pesos e KV; valores ajustados a
# registros de 34 pares (modelo, tp), erro no README.
# Até a versão 0.20 os grafos CUDA ficavam fora do orçamento e o NCCL ocupava mais.
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

# Velocidade: a parte do pico do hardware que um motor alcança e os custos fixos. Ajustados a
# metade de umas 2.300 medidas públicas (InferenceX e tabelas do TensorRT-LLM, pelo aiconfigurator
# da NVIDIA), conferidos na outra metade; erro no README. Valores próximos se compensam (a fração
# da banda e o tempo por camada, a dos especialistas e a das suas contas): a soma é mais certa.
WEIGHTS_MBU = 0.90  # da banda da HBM, ao ler pesos densos (fixado, não ajustado)
EXPERTS_MBU = 0.70  # ao ler os especialistas tocados
KV_MBU = 0.79  # ao ler o KV
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
MEASURED_GPUS = ("H100", "H200", "B200", "B300", "GB200")
MEASURED_CONTEXT = 32768  # acima disto só há tabelas interpoladas
QUEUE_RATIO = 0.70  # do tempo da réplica em prefill: daí em diante os pedidos esperam em fila
DEFAULT_OUTPUT_TOKENS = TURN_TOKENS = 1024

# Carga e falha: o carregador padrão (safetensors) chega a 1-4 GB/s por nó, por mais rápido que seja
# o disco (2.3 em 8 B300, 3.2-3.4 em H100, 4.3 em 8 H200); os paralelos, a 3-9; os de E/S direta, a
# 20-45. Depois dos pesos o motor ainda parte: 15-25 s num modelo denso pequeno, uns 90 s num MoE
# com os kernels em cache e até 400 s sem eles (Run:ai, InstantTensor, ServerlessLLM, ModelExpress).
LOADER_GBPS = 3
ENGINE_START_SECONDS = 90
# Espaço e energia.
RACK_UNITS, RACK_KW = 42, 45
HOURS_PER_YEAR = 8760
DEFAULT_PUE = Fraction(13, 10)
# Os contextos da tabela de uma pergunta invertida.
USUAL_CONTEXTS = tuple(1024 * 2**n for n in range(2, 11))

# Limites dos avisos.
HIGH_KV_BUDGET_RATIO = Fraction(75, 100)
TIGHT_LAST_NODE_RATIO = Fraction(10, 100)
IDLE_CEILING_RATIO = Fraction(1, 3)
# O cenário ideal.
IDEAL_HEADROOM_RATIO, IDEAL_KV_BUDGET_RATIO = Fraction(30, 100), Fraction(65, 100)
SLOW_TOKENS_PER_SECOND = 10
HEAVY_PREFILL_RATIO = 0.5
FAR_CALIBRATION, ABSURD_CALIBRATION = 2, 100  # medido / previsto que avisa, que é recusado

# O que limita as sessões de um nó, como o relatório o chama.
LIMITS = {"plan": "plano", "engine_memory": "memória do motor", "tpot": "TPOT", "ttft": "TTFT"}

WIDTH = 80  # colunas do terminal
GLUE = "\x00"  # um espaço em que a linha não se parte
MAX_DIGITS = 30  # de um número, e o maior expoente: basta para tudo e não deixa a conta explodir
MAX_FILE_BYTES = 64 * 2**20


# ── Erros ─────────────────────────────────────────────────────────────────────────────────────

ABSENT: Any = object()  # distingue "sem valor" de null


class SizingError(Exception):
    """Pergunta ou catálogo errado (`status` 2) ou pergunta correta sem resposta (`status` 3).

    `where` é a flag ou o arquivo; `path` e `line`, o lugar no documento; `value`, o que foi lido;
    `expected`, o que era esperado. O texto é sempre uma linha só.
    """

    def __init__(self, where: str, expected: str, *, value: Any = ABSENT, path: Path = (),
                 line: Optional[int] = None, status: int = 2) -> None:
        self.where, self.expected, self.value = where, expected, value
        self.path, self.line, self.status = path, line, status
        super().__init__(where, expected)

    # De uma recusa de status 3, para dizer o que caberia.
    question: Any = None
    limit = lead = ""
    options: Callable[[], Options] = tuple

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


def flag_of(name: str) -> str:
    """A flag de um campo: `max_tpot_ms` é `--max-tpot-ms`."""
    return "--" + name.replace("_", "-")


def path_text(path: Path) -> str:
    """Caminho num documento JSON: ("models", 0, "notes") é `models[0].notes`."""
    parts = ["[%d]" % key if isinstance(key, int) else "." + one_line(key) for key in path]
    return "".join(parts).lstrip(".")


def value_text(value: Any) -> str:
    """Um valor numa mensagem: como no JSON, numa linha, sem passar de 60 caracteres."""
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


# ── Números exatos e como se escrevem ─────────────────────────────────────────────────────────


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


def floor_div(numerator: Exact, denominator: Exact) -> int:
    """⌊numerator / denominator⌋, exato."""
    return int(numerator // denominator)


def ceil_div(numerator: Exact, denominator: Exact) -> int:
    """⌈numerator / denominator⌉, exato."""
    return -floor_div(-numerator, denominator)


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


def size_text(size_bytes: Exact) -> str:
    """Um tamanho com 5 algarismos, na unidade binária em que fica abaixo de 1024."""
    value, unit = float(size_bytes), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if abs(value) < 1024 or unit == "EiB":
            break
        value /= 1024
    return "%.5g %s" % (value, unit)


def significant(value: Union[Exact, float]) -> float:
    """Nove algarismos significativos."""
    return float("%.9g" % value)


def json_number(value: Any) -> Any:
    """Frações viram inteiro, se o são, ou float; o resto fica como está."""
    if not isinstance(value, Fraction):
        return value
    return int(value) if value.denominator == 1 else float(value)


def seconds_text(seconds: float) -> str:
    """Uma duração: até 120 s em segundos, até 120 min em minutos, senão em horas.

    >>> seconds_text(0.0123), seconds_text(111.73), seconds_text(200), seconds_text(9000)
    ('0.0123 s', '112 s', '3.33 min', '2.5 h')
    """
    value, unit = next(((seconds / size, unit) for size, unit in ((1, "s"), (60, "min"))
                        if seconds <= 120 * size), (seconds / 3600, "h"))
    return "%s %s" % (number_text(value), unit)


def amount_text(value: Exact) -> str:
    """Uma quantidade com até 2 casas; com expoente se passa de 7 algarismos."""
    return decimal_text(value, 2) if value < 10**7 else "%.3g" % value


def plural(count: int, one: str, many: str) -> str:
    """`1 nó`, `2 nós`."""
    return "%d %s" % (count, one if count == 1 else many)


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
    def document(self) -> Dict[str, Any]:
        """Os campos, com frações como inteiro ou float, e o que deles se deriva."""
        fields = {name: json_number(getattr(self, name)) for name in vars(type(self))[
            "__dataclass_fields__"]}
        return dict(fields, **self.derived)

    @property
    def derived(self) -> Dict[str, Any]:
        """O que o documento diz além dos campos."""
        return {}


# ── Cache KV: grupos de camadas ───────────────────────────────────────────────────────────────


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

    def session_bytes(self, context_tokens: int, element_bytes: int, page_tokens: int = 1) -> int:
        """Bytes de uma sessão nestas camadas, em páginas de `page_tokens` tokens."""
        held = context_tokens if self.cap_tokens is None else min(context_tokens, self.cap_tokens)
        held = ceil_div(held // self.stride, page_tokens) * page_tokens
        per_token = self.elements_per_token * element_bytes + self.bytes_per_token
        return self.layers * (held * per_token + self.fixed_bytes)

    def read_bytes(self, context_tokens: int, element_bytes: int) -> int:
        """Bytes que um passo de decode lê de uma sessão; o estado fixo é lido e escrito."""
        read = context_tokens if self.read_tokens is None else min(context_tokens,
                                                                   self.read_tokens)
        return self.session_bytes(read, element_bytes) + self.layers * self.fixed_bytes

    def pairs(self, new_tokens: int, cached_tokens: int) -> float:
        """Pares consulta-chave numa camada, de `new_tokens` tokens depois dos que estão em cache.

        Atenção completa: T²/2 + T · cache; numa janela W, a partir de W tokens, T · W.

        >>> sliding_group(1, 8, 64, 64, window=128).pairs(1000, 0) == 1000 * 128 - 128**2 / 2
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


def full_group(layers: int, kv_heads: int, k_dim: int, v_dim: int) -> Group:
    """Atenção completa: K e V de todo o contexto (`v_dim` 0: V é o próprio K)."""
    return Group(kind="full", layers=layers, elements_per_token=kv_heads * (k_dim + v_dim),
                 shards=kv_heads, pair_dims=k_dim + (v_dim or k_dim))


def sliding_group(layers: int, kv_heads: int, k_dim: int, v_dim: int, window: int) -> Group:
    """Janela deslizante: K e V dos últimos `window` tokens, nunca mais que o contexto."""
    return replace(full_group(layers, kv_heads, k_dim, v_dim), kind="sliding", cap_tokens=window)


def chunked_group(layers: int, kv_heads: int, k_dim: int, v_dim: int, chunk: int) -> Group:
    """Atenção por blocos (Llama 4): no máximo um bloco de `chunk` tokens."""
    return replace(full_group(layers, kv_heads, k_dim, v_dim), kind="chunked", cap_tokens=chunk)


def mla_group(layers: int, kv_lora_rank: int, qk_rope_head_dim: int) -> Group:
    """MLA (DeepSeek): um vetor latente por token, sem fator 2, repetido em cada GPU do tp."""
    return Group(kind="mla", layers=layers, elements_per_token=kv_lora_rank + qk_rope_head_dim,
                 pair_dims=2 * kv_lora_rank + qk_rope_head_dim)


def indexer_group(layers: int, index_head_dim: int) -> Group:
    """Indexador da DSA: chave fp8 e escalas fp32 de blocos de 128 (132 bytes por token)."""
    key_bytes, scale_bytes = index_head_dim, 4 * ceil_div(index_head_dim, 128)
    return Group(kind="indexer", layers=layers, bytes_per_token=key_bytes + scale_bytes,
                 pair_dims=index_head_dim)


def compressed_group(layers: int, dim: int, ratio: int) -> Group:
    """DeepSeek V4: um vetor K = V a cada `ratio` tokens, sobre as camadas de janela."""
    return Group(kind="compressed", layers=layers, elements_per_token=dim, stride=ratio,
                 pair_dims=2 * dim)


def compressed_indexer_group(layers: int, index_head_dim: int, ratio: int) -> Group:
    """DeepSeek V4: o indexador das camadas comprimidas."""
    return replace(indexer_group(layers, index_head_dim), kind="compressed_indexer", stride=ratio)


def linear_group(layers: int, state_bytes: int, heads: int) -> Group:
    """Mamba2, gated delta net, KDA: estado fixo (convolução e recorrência), sem depender de n."""
    return Group(kind="linear", layers=layers, fixed_bytes=state_bytes, shards=heads)


def none_group(layers: int) -> Group:
    """Camadas sem cache próprio: só FFN, ou com o KV de outra camada."""
    return Group(kind="none", layers=layers)


# Tipo → construtor; os nomes dos argumentos são os campos do grupo em `models.json`.
KINDS: Dict[str, Callable[..., Group]] = {
    "full": full_group, "sliding": sliding_group, "chunked": chunked_group, "mla": mla_group,
    "indexer": indexer_group, "compressed": compressed_group,
    "compressed_indexer": compressed_indexer_group, "linear": linear_group, "none": none_group}
RIDERS = ("indexer", "compressed", "compressed_indexer")  # somam-se a camadas já contadas
LATENT = ("mla", "compressed")  # um vetor para todas as cabeças: cada GPU do tp o guarda inteiro


def kind_fields(kind: str) -> Tuple[str, ...]:
    """Os campos que um grupo deste tipo tem, além de `kind`."""
    code = KINDS[kind].__code__
    return code.co_varnames[:code.co_argcount]


def group_problems(groups: Sequence[Dict[str, Any]], num_layers: int) -> Iterator[Problem]:
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


def session_kv_bytes(groups: Sequence[Group], context_tokens: int, kv_precision: str) -> int:
    """Bytes de cache KV de uma sessão: Σ camadas · elementos por token · min(n, janela) · b.

    O fator 2 (K e V) está nos elementos por token; é a conta do `kv_cache_interface.py` do vLLM
    sem o arredondamento a páginas.

    >>> session_kv_bytes([sliding_group(36, 8, 64, 64, window=128)], 64, "fp16")
    4718592
    """
    element = KV_PRECISIONS[kv_precision]
    return sum(group.session_bytes(context_tokens, element) for group in groups)


# ── Catálogos ─────────────────────────────────────────────────────────────────────────────────
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
    if default is MISSING:
        return field(metadata={"rule": rule})
    return field(default=default, metadata={"rule": rule})


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
    groups: Optional[Tuple[Dict[str, Any], ...]] = checked(GROUPS, None)
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
        if self.groups is not None:
            listed = [KINDS[group["kind"]](*map(group.get, kind_fields(group["kind"])))
                      for group in self.groups]
            indexed = {group.stride for group in listed if "indexer" in group.kind}
            return tuple(replace(group, read_tokens=(self.index_topk or 0) * group.stride or None)
                         if group.kind in LATENT and group.stride in indexed else group
                         for group in listed)
        heads, dim, window = self.num_key_value_heads, self.head_dim, self.sliding_window or 0
        full = self.hybrid_full_layers or self.num_layers
        sliding = self.hybrid_sliding_layers or self.num_layers
        groups = {"full": full_group(full, heads, dim, dim),
                  "sliding": sliding_group(sliding, heads, dim, dim, window)}
        return tuple(group for kind, group in groups.items()
                     if self.attention_pattern in (kind, "hybrid"))

    @property
    def derived(self) -> Dict[str, Any]:
        """Os grupos de camadas e, se conhecidos, os GiB de pesos do checkpoint."""
        known, experts = self.weights_dense_bytes, self.weights_expert_bytes or 0
        return dict({"kv_groups": [group.document for group in self.layer_groups]}, **(
            {"weights_gib": significant(Fraction(known + experts, GIB))} if known else {}))

    @cached_property
    def latent(self) -> bool:
        """Guarda um vetor latente, que o tensor parallel repete em cada GPU."""
        return any(group.kind in LATENT for group in self.layer_groups)

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

    @cached_property
    def indexer_layers(self) -> int:
        """Camadas com indexador de atenção esparsa."""
        return sum(group.layers for group in self.layer_groups if "indexer" in group.kind)

    def inconsistencies(self) -> Iterator[Problem]:
        """(campo, valor, esperado) de cada campo que contradiz `attention_pattern`."""
        pattern = self.attention_pattern
        needed = {"sliding_window": ("sliding", "hybrid"), "hybrid_full_layers": ("hybrid",),
                  "hybrid_sliding_layers": ("hybrid",), "groups": ("groups",)}
        for name, patterns in needed.items():
            value = getattr(self, name)
            if (value is not None) != (pattern in patterns):
                expected = self.__dataclass_fields__[name].metadata["rule"][1]
                yield ((name,), value, "espera-se %s com attention_pattern %r"
                       % (expected if pattern in patterns else "null", pattern))
        if pattern == "hybrid" and self.hybrid_full_layers and self.hybrid_sliding_layers:
            total = self.hybrid_full_layers + self.hybrid_sliding_layers
            if total != self.num_layers:
                yield (("hybrid_sliding_layers",), self.hybrid_sliding_layers,
                       "hybrid_full_layers + hybrid_sliding_layers dá %d, espera-se num_layers %d"
                       % (total, self.num_layers))
        for small, large in (
                ("experts_per_token", "num_experts"), ("params_active", "params_total"),
                ("params_experts", "params_total"), ("params_embedding", "params_total"),
                ("moe_layers", "num_layers"),
                ("num_key_value_heads", "num_attention_heads")):
            limit = getattr(self, large)
            if limit is not None and (getattr(self, small) or 0) > limit:
                yield (small,), getattr(self, small), "espera-se até %s, %d" % (large, limit)
        if self.experts_per_token and not self.num_experts:
            yield ("num_experts",), None, "espera-se um inteiro positivo com experts_per_token"
        kept = (self.params_experts or 0) + (self.params_embedding or 0)
        if kept > (self.params_total or kept):
            yield (("params_embedding",), self.params_embedding,
                   "com params_experts passa de params_total, %d" % (self.params_total or 0))
        yield from group_problems(self.groups or (), self.num_layers)


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

    @property
    def derived(self) -> Dict[str, Any]:
        """A HBM total em GiB."""
        return {"total_hbm_gib": significant(Fraction(self.total_hbm_gb * GB, GIB))}

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
    "models": (Model, "models", "modelo"),
    "servers": (Server, "servers", "servidor"),
    "storage": (Storage, "profiles", "perfil de storage"),
}


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
    positions = list(json_positions(text))
    lines = dict(positions)  # o campo que falta fica na linha da sua entrada
    errors = [SizingError(file, expected, value=value, path=path,
                          line=lines.get(path, lines.get(path[:-1])))
              for path, value, expected in problems]
    seen: Dict[Path, int] = {}
    repeated = set()
    for path, line in positions:
        if path[:-1] in repeated:  # já acusado no nível de cima
            repeated.add(path)
        elif path in seen:
            repeated.add(path)
            errors.append(SizingError(file, "chave repetida, já usada na linha %d" % seen[path],
                                      path=path, line=line))
        seen.setdefault(path, line)
    return entries, sorted(errors, key=lambda error: error.line or 0)


def parse_json(file: str, data: bytes) -> Tuple[Any, str, bool]:
    """(documento, texto, há chave repetida?), com números exatos. Levanta `SizingError`.

    Um número fora dos limites, NaN ou Infinity vira float: tipo que nenhuma regra aceita.
    """
    try:
        text = data[3 if data.startswith(b"\xef\xbb\xbf") else 0:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise SizingError(file, "espera-se texto UTF-8; byte 0x%02x inválido" % data[error.start],
                          line=data.count(b"\n", 0, error.start) + 1) from None
    duplicated = []

    def to_dict(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        mapping = dict(pairs)
        if len(mapping) != len(pairs):
            duplicated.append(True)
        return mapping

    def to_int(digits: str) -> Any:
        return int(digits) if len(digits) <= MAX_DIGITS else float(digits)

    def to_fraction(digits: str) -> Any:
        value = exact_decimal(digits)
        return float(digits) if value is None else value

    try:
        document = json.loads(text, object_pairs_hook=to_dict, parse_int=to_int,
                              parse_float=to_fraction, parse_constant=float)
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
        if entry is None:
            continue
        entries.append(entry)
        for name in names_of(entry):
            if name.lower() in owners:
                problems.append((path, ABSENT, "nome repetido: %r já é de %s"
                                 % (name, path_text(owners[name.lower()]))))
            owners[name.lower()] = path
    return entries, problems


def names_of(entry: Any) -> Tuple[str, ...]:
    """O nome, os apelidos e o id no Hugging Face de uma entrada."""
    hf_id = getattr(entry, "hf_id", None)
    return (entry.name, *entry.aliases, *((hf_id,) if hf_id else ()))


def check_entry(cls: Any, raw: Any) -> Tuple[Any, List[Problem]]:
    """A entrada construída (None se algum campo está errado) e os seus problemas."""
    if not isinstance(raw, dict):
        return None, [((), raw, "espera-se um objeto {…} com os campos da entrada")]
    specs = cls.__dataclass_fields__
    problems: List[Problem] = []
    unknown: List[Problem] = []
    values = {}
    for name, value in raw.items():
        if name not in specs:
            unknown.append(((name,), ABSENT, "chave desconhecida" + nearest(name, list(specs))))
            continue
        accepts, expected = specs[name].metadata["rule"]
        if accepts(value):
            values[name] = tuple(value) if isinstance(value, list) else value
        elif value is not None or specs[name].default is not None:
            problems.append(((name,), value, "espera-se " + expected))
    for name, spec in specs.items():
        if spec.default is MISSING and name not in raw:
            problems.append(((), ABSENT, "falta o campo %r: %s"
                             % (name, spec.metadata["rule"][1])))
    if problems:
        return None, unknown + problems
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


# ── config.json do Hugging Face ───────────────────────────────────────────────────────────────
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
# Nomes que o mesmo campo tem em arquiteturas diferentes.
HF_EXPERTS = "n_routed_experts num_experts num_local_experts moe_num_experts"
HF_HEADS = "num_attention_heads n_head n_heads"
HF_DTYPES = {"bfloat16": 16, "float16": 16, "half": 16, "float32": 32, "auto": 16}


class HfConfig:
    """Um objeto de um config.json: toda leitura confere tipo e faixa, e anota o campo lido."""

    def __init__(self, file: str, data: Any, path: Path = ()) -> None:
        if not isinstance(data, dict):
            raise SizingError(file, "espera-se um objeto JSON", path=path)
        self.file, self.data, self.path = file, data, path
        self.read = {"model_type", "architectures"}

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


def hf_traits(c: HfConfig) -> Dict[str, str]:
    """Os traços do `model_type`. Levanta `SizingError` se ele não é conhecido."""
    for line in HF_FAMILIES.replace("\n  ", " ").strip().splitlines():
        names, _, words = line.partition(":")
        if c.data.get("model_type") in names.split():
            return {word.partition("=")[0]: word.partition("=")[2] for word in words.split()}
    raise c.fail("model_type", "uma arquitetura conhecida (ou descreva o modelo em models.json)")


def hf_kinds(c: HfConfig, traits: Dict[str, str]) -> List[str]:
    """O tipo de cada camada: pela lista do config, ou pela regra da família."""
    for name in ("layer_types", "layers_block_type", "hybrid_override_pattern"):
        listed = c.get(name)
        if listed is not None:
            count = c.count("num_hidden_layers", len(listed) if isinstance(listed, (list, str))
                            else ABSENT)
            if not isinstance(listed, (list, str)) or len(listed) != count:
                raise c.fail(name, "uma lista com as %d camadas" % count)
            for item in listed:
                if not isinstance(item, str) or item not in HF_LAYERS:
                    raise c.fail(name, "camadas destes tipos: %s" % ", ".join(HF_LAYERS))
            return [HF_LAYERS[item] for item in listed]
    layers = range(c.count("num_hidden_layers num_layers n_layer", high=4096))
    if c.get("compress_ratios") is not None:
        ratios = c.items("compress_ratios")[:len(layers)]
        if len(ratios) < len(layers) or any(type(n) is not int or n < 0 for n in ratios):
            raise c.fail("compress_ratios", "um inteiro por camada")
        return ["compressed"] * len(layers)
    if "linear" in traits:
        interval = c.count("full_attention_interval", 4)
        return ["linear" if (i + 1) % interval else "full" for i in layers]
    if "chunked" in traits:
        rope = c.items("no_rope_layers") or [(i + 1) % 4 for i in layers]
        return ["chunked" if rope[i:i + 1] != [0] else "full" for i in layers]
    period = c.count("sliding_window_pattern _sliding_window_pattern",
                     int(traits.get("period") or 0), low=0)
    upper = c.count("max_window_layers", 0, low=0)
    first = {"all": 0, "upper": upper if c.flag("use_sliding_window") else len(layers)}.get(
        traits.get("window", ""), len(layers))
    if traits.get("window") or period:
        windowed = c.count("sliding_window sliding_window_size", 0) > 0
        return ["sliding" if windowed and ((period and (i + 1) % period) or first <= i) else "full"
                for i in layers]
    return ["full"] * len(layers)


def hf_shares_kv(c: HfConfig, i: int) -> bool:
    """A camada usa o KV de outra (Gemma 3n e 4: as últimas `num_kv_shared_layers`)."""
    layers: int = c.data["num_hidden_layers"]
    shared: int = c.count("num_kv_shared_layers", 0, low=0)
    return i >= layers - shared


def hf_block(c: HfConfig, i: int, part: str) -> Optional[HfConfig]:
    """A parte `attention` ou `ffn` da camada, se o config descreve cada uma (Nemotron NAS)."""
    blocks = c.items("block_configs")
    return HfConfig(c.file, blocks[i] if i < len(blocks) else None,
                    (*c.path, "block_configs", i)).child(part) if blocks else None


def hf_expert_width(c: HfConfig, traits: Dict[str, str], low: int) -> Any:
    """A largura de um especialista roteado; 0, se `low` permite, num modelo denso sem o campo."""
    return c.count("intermediate_size" if "wide" in traits else
                   "moe_intermediate_size intermediate_size", ABSENT if low else 0, low=low)


def hf_mixer(c: HfConfig, traits: Dict[str, str], kind: str,
             i: int) -> Tuple[List[Dict[str, Any]], int, int]:
    """(grupos de cache, parâmetros, parâmetros que todo rank repete) da atenção de uma camada."""
    hidden = c.count("hidden_size n_embd d_model")
    if kind in ("moe", "mlp"):
        return [{"kind": "none"}], 0, 0
    if kind == "linear":
        return hf_recurrence(c, traits["linear"], hidden)
    heads = c.count(HF_HEADS)
    if kind == "compressed":
        return hf_compressed(c, c.items("compress_ratios")[i], heads, hidden)
    if c.get("kv_lora_rank") is not None:
        rank, rope, query = c.count("kv_lora_rank"), c.count("qk_rope_head_dim"), c.count(
            "q_lora_rank", 0)
        nope, value = c.count("qk_nope_head_dim"), c.count("v_head_dim")
        down = hidden * (query + rank + rope)
        up = (query or hidden) * heads * (nope + rope) + rank * heads * (nope + value)
        groups: List[Dict[str, Any]] = [
            {"kind": "mla", "kv_lora_rank": rank, "qk_rope_head_dim": rope}]
        types = c.items("indexer_types")
        if c.get("index_head_dim") is not None and (not types or types[i:i + 1] == ["full"]):
            dim, ways = c.count("index_head_dim"), c.count("index_n_heads")
            groups.append({"kind": "indexer", "index_head_dim": dim})
            down += query * ways * dim + hidden * dim
            up += hidden * ways
        return groups, down + up + heads * value * hidden, down
    block = hf_block(c, i, "attention")
    if block:
        if block.flag("no_op") or block.flag("replace_with_linear"):
            return [{"kind": "none"}], hidden * hidden * block.flag("replace_with_linear"), 0
        kv_heads = max(heads // block.count("n_heads_in_group"), 1)
    else:
        kv_heads = c.count("num_key_value_heads num_kv_heads", heads)
    dim = c.count("head_dim attention_head_dim kv_channels", hidden // heads)
    shared = c.flag("attention_k_eq_v") and kind == "full"
    if kind == "full" and c.get("global_head_dim") is not None:
        dim = c.count("global_head_dim")
        kv_heads = c.count("num_global_key_value_heads", kv_heads)
    group = {"kind": kind, "kv_heads": kv_heads, "k_dim": dim, "v_dim": dim}
    if kind == "sliding":
        group["window"] = c.count("sliding_window sliding_window_size")
    if kind == "chunked":
        group["chunk"] = c.count("attention_chunk_size")
    query = hidden * heads * dim * (3 if c.flag("attn_output_gate", "gate" in traits) else 2)
    if hf_shares_kv(c, i):
        return [{"kind": "none"}], query, 0
    return [group], query + hidden * kv_heads * dim * (1 if shared else 2), 0


def hf_recurrence(c: HfConfig, name: str, hidden: int) -> Tuple[List[Dict[str, Any]], int, int]:
    """Gated delta net ou Mamba2: estado fixo, no tipo que o config dá ao estado (senão bf16)."""
    if name == "gdn":
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
    state_bytes = state * state_bits // 8 + conv * (kernel - 1) * 2
    return ([{"kind": "linear", "state_bytes": state_bytes, "heads": heads}],
            params + conv * kernel, 0)


def hf_compressed(c: HfConfig, ratio: int, heads: int,
                  hidden: int) -> Tuple[List[Dict[str, Any]], int, int]:
    """DeepSeek V4: janela em toda camada e um vetor K = V a cada `ratio` tokens."""
    dim, query = c.count("head_dim"), c.count("q_lora_rank")
    groups: List[Dict[str, Any]] = [{"kind": "sliding", "kv_heads": 1, "k_dim": dim, "v_dim": 0,
                                     "window": c.count("sliding_window")}]
    output = c.count("o_groups") * c.count("o_lora_rank")
    params = (hidden * (query + dim) + query * heads * dim + heads * dim * c.count("o_lora_rank")
              + output * hidden)
    if ratio:
        groups.append({"kind": "compressed", "dim": dim, "ratio": ratio})
    if 0 < ratio <= 4:
        index = c.count("index_head_dim")
        groups.append({"kind": "compressed_indexer", "index_head_dim": index, "ratio": ratio})
        params += query * c.count("index_n_heads") * index
    return groups, params + 3 * hidden * dim, hidden * (query + dim)


def hf_ffn(c: HfConfig, traits: Dict[str, str], kind: str, i: int,
           hidden: int) -> Dict[str, int]:
    """Parâmetros do FFN de uma camada: dense, shared, experts."""
    matrices = int(traits.get("mats") or 3) * hidden
    wide, experts = hf_expert_width(c, traits, 0), c.count(HF_EXPERTS, 0, low=0)
    skipped = c.items("mlp_only_layers")
    step = c.count("decoder_sparse_step interleave_moe_layer_step moe_layer_freq", 1)
    first = c.count("first_k_dense_replace num_dense_layers", 0, low=0)
    sparse = (experts > 0 and i >= first and (i + 1) % step == 0 and i not in skipped
              and kind != "mlp")
    if c.data["model_type"] == "nemotron_h" and (kind not in ("moe", "mlp")):
        return {}
    ffn = hf_block(c, i, "ffn")
    if ffn:
        if ffn.flag("no_op") or ffn.flag("replace_with_linear"):
            return {"dense": hidden * hidden * ffn.flag("replace_with_linear")}
        times = ffn.get("ffn_mult")
        if type(times) not in (int, Fraction) or not 0 < times < 100:
            raise ffn.fail("ffn_mult", "um número positivo")
        return {"dense": matrices * ceil_div(int(2 * times * hidden / 3), 256) * 256}
    if not sparse:
        double = c.flag("use_double_wide_mlp") and hf_shares_kv(c, i)
        width = c.count("intermediate_size_mlp shared_intermediate_size", 0, low=0) or c.count(
            "intermediate_size n_inner")
        return {"dense": matrices * (1 + double) * width}
    latent = c.count("moe_latent_size", 0, low=0)
    shared = c.count("shared_expert_intermediate_size moe_shared_expert_intermediate_size "
                     "shared_intermediate_size", 0, low=0)
    copies = c.count("n_shared_experts num_shared_experts", "chunked" in traits, low=0)
    per_expert = matrices // hidden * (latent or hidden) * wide
    return {"experts": experts * per_expert,
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


def hf_kept(c: HfConfig, pattern: str, kept: Sequence[str]) -> bool:
    """As exceções da quantização cobrem este papel: em geral, ou em mais da metade das camadas."""
    cited = [re.findall(r"layers\.(\d+)\.", name) for name in kept if re.search(pattern, name)]
    layers = {layer for found in cited for layer in found}
    return [] in cited or 2 * len(layers) > c.data["num_hidden_layers"]


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
    for line in HF_SCHEMES.strip().splitlines():
        pattern, label, number = line.split()
        if re.search(pattern, found):
            scheme = label, Fraction(number) + (Fraction(16, size) if label == "int4" else 0)
            for role, name in HF_ROLES.items():
                if role == "experts" or (method != "mxfp4" and not hf_kept(c, name, kept)):
                    bits[role] = scheme
            if c.get("expert_dtype") == "fp4":
                bits["experts"] = "mxfp4", Fraction("4.25")
            return bits
    raise q.fail("quant_method", "fp8, mxfp4, compressed-tensors, modelopt, gptq ou awq")


def hf_decoder(root: HfConfig) -> Tuple[HfConfig, Dict[str, str]]:
    """(o objeto do decodificador de texto, com o que herda da raiz e da família; os traços)."""
    nested = next((key for key in ("text_config", "llm_config", "language_config")
                   if root.data.get(key)), None)
    c = root.child(nested) if nested else root
    inherited = ("model_type", "tie_word_embeddings", "quantization_config", "torch_dtype", "dtype")
    c.data = dict({key: root.data[key] for key in inherited if key in root.data},
                  **{key: value for key, value in c.data.items() if value is not None})
    traits = hf_traits(c)
    for key, text in traits.items():
        if text.isdigit():
            c.data.setdefault(key, int(text))
    return c, traits


def hf_layers(c: HfConfig, traits: Dict[str, str],
              hidden: int) -> Tuple[List[Dict[str, Any]], Dict[str, int], Dict[str, int]]:
    """(grupos de cache, parâmetros por papel, parâmetros da última camada).

    Além dos papéis de `hf_bits`: router (com as normas), layers e moe_layers (quantas camadas) e
    replicated (os da atenção que todo rank do tensor parallel repete).
    """
    kinds = hf_kinds(c, traits)
    c.data["num_hidden_layers"] = len(kinds)
    groups: Dict[str, Dict[str, Any]] = {}
    params = dict.fromkeys(("attention", "dense", "shared", "experts", "router", "replicated",
                            "moe_layers"), 0)
    params["layers"] = len(kinds)
    layer: Dict[str, int] = {}
    for i, kind in enumerate(kinds):
        cached, attention, replicated = hf_mixer(c, traits, kind, i)
        layer = dict({"attention": attention, "router": 2 * hidden},
                     **hf_ffn(c, traits, kind, i, hidden))
        for role, number in layer.items():
            params[role] += number
        params["replicated"] += replicated
        params["moe_layers"] += "experts" in layer
        for group in cached:
            groups.setdefault(repr(group), dict(group, layers=0))["layers"] += 1
    return list(groups.values()), params, layer


def hf_experts(c: HfConfig, traits: Dict[str, str], params: Dict[str, int],
               text_params: int) -> Dict[str, int]:
    """Os campos de `models.json` que só um MoE tem."""
    number = c.count(HF_EXPERTS)
    top = c.count("num_experts_per_tok num_experts_per_token experts_per_token top_k_experts")
    return {"moe_layers": params["moe_layers"], "num_experts": number, "experts_per_token": top,
            "moe_intermediate_size": hf_expert_width(c, traits, 1),
            "params_experts": params["experts"],
            "params_active": text_params - params["experts"] * (number - top) // number}


def model_from_hf_config(file: str, config: Any, name: str, index_bytes: Optional[int] = None,
                         weights_bytes: Optional[int] = None,
                         context: Optional[int] = None) -> Dict[str, Any]:
    """A entrada de `models.json` de um config.json já lido.

    Parâmetros contados pela arquitetura e bytes pela quantização; `weights_bytes` (informado) ou
    `index_bytes` (`total_size` do índice ao lado) valem mais; `context` é o máximo de tokens se o
    config não o diz. Levanta `SizingError` com o campo que não foi entendido: nada é adivinhado.
    """
    root = HfConfig(file, config)
    c, traits = hf_decoder(root)
    hidden, vocab = c.count("hidden_size n_embd d_model"), c.count("vocab_size")
    groups, params, layer = hf_layers(c, traits, hidden)
    bits, vision = hf_bits(c), hf_vision(root, hidden)
    embedding = vocab * hidden * (1 if c.flag("tie_word_embeddings", "tied" in traits) else 2)
    by_layer = c.count("hidden_size_per_layer_input", 0, low=0) * params["layers"]  # Gemma 3n e 4
    embedding += by_layer and by_layer * c.count("vocab_size_per_layer_input")
    params["dense"] += 3 * hidden * by_layer
    mtp = c.count("num_nextn_predict_layers mtp_num_hidden_layers", int(
        c.data["model_type"] == "qwen3_next"), low=0) if "mtp" in traits else 0

    def size(counts: Dict[str, int], roles: str) -> int:
        return sum(ceil_div(counts.get(role, 0) * bits.get(role, ("", 16))[1], 8)
                   for role in roles.split())

    experts = size(params, "experts")
    dense = 2 * (embedding + vision) + size(params, "attention dense shared router")
    checkpoint = dense + experts + mtp * (size(layer, "attention dense shared router experts")
                                          + 4 * hidden * hidden
                                          + ("dup" in traits) * 4 * vocab * hidden)
    if index_bytes and abs(index_bytes - checkpoint) * 10 > checkpoint:
        raise SizingError(file, "o total_size do índice ao lado, %d, difere mais de 10%% dos %d "
                          "bytes calculados com quantization_config; informe --weights-gib"
                          % (index_bytes, checkpoint))
    given = weights_bytes or index_bytes or checkpoint
    first = next((group for group in groups if "k_dim" in group), None)
    plain = len(groups) == 1 and first is not None and first["kind"] == "full"
    total = embedding + vision + sum(params[role] for role in
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
        "attention_pattern": "full" if plain else "groups", "groups": not plain and groups,
        **{key: c.count(key, 0) for key in ("qk_nope_head_dim", "v_head_dim", "index_n_heads",
                                            "index_topk")
           if c.data.get("kv_lora_rank") or c.data.get("index_topk")},
        "default_kv_precision": "fp8", "params_total": total, "params_active": total - vision,
        "params_embedding": embedding + vision, "native_precision": bits["dense"][0],
        "checkpoint_bytes": given, "weights_dense_bytes": max(dense * given // checkpoint, 1),
        "weights_replicated_bytes": size({"attention": params["replicated"]}, "attention"),
        "multimodal": vision > 0,
        "notes": "Lido do config.json; parâmetros contados pela arquitetura.", "source": file}
    if params["experts"]:
        entry.update(hf_experts(c, traits, params, total - vision),
                     native_precision=bits["experts"][0],
                     weights_expert_bytes=experts * given // checkpoint)
    for key, value in c.data.items():
        if value and key not in c.read and re.search(HF_SUSPECT, key) and not re.search(
                HF_INERT, key):
            raise SizingError(file, "campo de atenção ou de cache que não é entendido",
                              path=(*c.path, key), value=value)
    return {key: value for key, value in entry.items() if value}


def hf_context(c: HfConfig, default: Optional[int]) -> int:
    """O contexto máximo; YaRN só estende o que `max_position_embeddings` ainda não inclui."""
    names = "max_position_embeddings n_positions max_seq_len model_max_length"
    limit: int = c.count(names, default or 0)
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


# ── A pergunta ────────────────────────────────────────────────────────────────────────────────


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
    def effective_context(self) -> int:
        """Tokens por sessão, até o máximo do modelo."""
        limit = self.model.max_position_embeddings
        return min(self.requested_context or limit, limit)

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
        """A pergunta na outra ponta da carga, com o prefixo em cache; None se só há uma."""
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
        return floor_div(self.gpu_memory_utilization * visible, 1)

    @cached_property
    def memory(self) -> Dict[Any, Any]:
        """O que já se calculou desta pergunta, seja qual for a carga: leiautes e velocidades."""
        return {}

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


# ── Pesos, leiautes e o teto físico ───────────────────────────────────────────────────────────


def missing_for_ceiling(q: Question) -> List[str]:
    """Os campos que faltam nos catálogos para calcular o teto físico."""
    moe = bool(q.model.num_experts or q.model.weights_expert_bytes)
    weights = ["weights_dense_bytes"]
    if q.precision != q.model.native_precision and q.weights_precision:
        # Sem eles, o que fica em 16 bits contaria como convertido: pesos de menos.
        weights = ["params_total", "params_embedding"] + ["params_experts"] * moe
    if moe:
        weights += ["num_experts", "experts_per_token", "moe_intermediate_size",
                    "weights_expert_bytes"]
    needed = ("vocab_size", "hidden_size", "num_attention_heads", *weights)
    missing = [name for name in needed if getattr(q.model, name) is None]
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
    model = q.model
    tokens = q.server.max_num_batched_tokens or DEFAULT_MAX_NUM_BATCHED_TOKENS
    hidden, width = model.hidden_size or 0, ceil_div(model.moe_intermediate_size or 0, tp * dp)
    routed = model.num_experts and q.precision != "mxfp4"
    return {
        "sampler_bytes": 2 * tokens * hidden + ceil_div(
            SAMPLER_BYTES[0] * max_num_seqs * (model.vocab_size or 0), SAMPLER_BYTES[1]),
        "ffn_bytes": 2 * tokens * (ceil_div(3 * (model.intermediate_size or 0), tp) + 3 * hidden),
        "moe_bytes": 2 * tokens * (model.experts_per_token or 0) * (
            max(2 * width, hidden) + width) if routed else 0,
        "encoder_bytes": ENCODER_BYTES if model.multimodal else 0,
        "indexer_bytes": INDEXER_BYTES if any(
            "indexer" in group["kind"] for group in model.groups or ()) else 0}


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
    replicas_per_unit: int
    usable_bytes: int
    weights_bytes: int
    runtime_parts: Tuple[int, int, int]  # ativações, contexto CUDA e NCCL, grafos CUDA
    session_bytes: int
    sessions_per_replica: int

    @property
    def gpus(self) -> int:
        """GPUs de uma réplica."""
        return self.tensor_parallel * self.data_parallel

    @property
    def sessions_per_unit(self) -> int:
        """Sessões que o motor admite numa unidade."""
        return self.sessions_per_replica * self.replicas_per_unit

    @property
    def runtime_bytes(self) -> int:
        """Bytes do motor por GPU."""
        return sum(self.runtime_parts)

    @property
    def kv_capacity_bytes(self) -> int:
        """Bytes de KV por GPU; negativo se nem os pesos cabem."""
        return self.usable_bytes - self.weights_bytes - self.runtime_bytes

    def __str__(self) -> str:
        return "dp %d" % self.data_parallel if self.data_parallel > 1 else (
            "tp %d" % self.tensor_parallel)


def fit_layout(q: Question, tp: int, dp: int, nodes: int) -> Layout:
    """O leiaute com o maior número de sessões que cabem, em páginas de `PAGE_TOKENS` tokens.

    Acima de `max_num_seqs` sequências, cada sessão a mais também aumenta o amostrador.
    """
    usable, element, context = q.usable_bytes, KV_PRECISIONS[q.kv_precision], (
        q.effective_context)
    weights = weights_per_gpu(q, tp, dp)
    session = sum(ceil_div(group.session_bytes(context, element, PAGE_TOKENS),
                           min(tp, group.shards)) for group in q.model.layer_groups)
    default = q.server.max_num_seqs or DEFAULT_MAX_NUM_SEQS
    runtime = runtime_per_gpu(q, tp, dp, default)
    sessions = max(0, (usable - weights - sum(runtime)) // session)
    if sessions > default:
        sessions = largest(sessions, lambda n: n * session <= usable - weights - sum(
            runtime_per_gpu(q, tp, dp, n)), default)
        runtime = runtime_per_gpu(q, tp, dp, sessions)
    return Layout(
        tensor_parallel=tp, data_parallel=dp, nodes_per_unit=nodes,
        replicas_per_unit=nodes * q.server.gpus // (tp * dp), usable_bytes=usable,
        weights_bytes=weights, runtime_parts=runtime, session_bytes=session,
        sessions_per_replica=sessions * dp)


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


# ── Velocidade: decode, prefill e objetivos ───────────────────────────────────────────────────


def nvlink_reaches(server: Server, gpus: int) -> bool:
    """As GPUs de uma réplica estão no mesmo domínio NVLink."""
    return bool(server.nvlink_bandwidth_tbps) and gpus <= (server.nvlink_domain_gpus
                                                           or server.gpus)


def missing_for_speed(q: Question) -> List[str]:
    """Os campos que faltam nos catálogos para prever a velocidade."""
    kinds = {group.kind for group in q.model.layer_groups}
    names = ["params_total", "params_embedding"]
    names += ["params_experts", "moe_layers"] if q.model.num_experts else []
    names += ["qk_nope_head_dim", "v_head_dim"] if "mla" in kinds else []
    names += ["index_n_heads", "index_topk"] if kinds & {"indexer", "compressed_indexer"} else []
    missing = [name for name in names if getattr(q.model, name) is None]
    names = ["hbm_bandwidth_tbps", "tflops_bf16"]
    if q.server.gpus > 1 and not nvlink_reaches(q.server, q.server.gpus):
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


@dataclass(eq=False, repr=False, init=False)
class Speed(Record):
    """Os tempos de uma réplica sob uma carga, em segundos; `sessions` são as da réplica inteira."""

    terms: Dict[str, float]  # as grandezas das fórmulas, para --explain
    parts: Dict[str, Tuple[float, float]]  # parcela → (por passo, por sequência da GPU)
    experts_seconds: float  # ler todos os especialistas
    untouched: float  # 1 - k/E
    data_parallel: int
    output: int
    prefill_seconds: float  # de um pedido entre os outros
    alone_seconds: float  # até o primeiro token numa réplica ociosa, sem o passo de decode
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
        return 1e3 * self.alone_seconds + self.tpot_ms(sessions) / 2

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
        if q.max_ttft_ms is None:
            return ""
        late = self.ttft_ms(sessions) > q.max_ttft_ms
        return "ttft" if late or self.prefill_ratio(sessions) >= QUEUE_RATIO else ""


def speed_of(q: Question, layout: Layout) -> Speed:
    """Os tempos de uma réplica na carga dos objetivos: ler pesos e KV, calcular, comunicar, partir.

    O contexto é o da sessão no fim do pedido; o que não é entrada nem saída já está em cache.
    tp divide as camadas densas e as cabeças; tp · dp, os especialistas. Equações no README.
    """
    model, server, tp, gpus = q.model, q.server, layout.tensor_parallel, layout.gpus
    dense_bytes, expert_bytes = weight_bytes(model, q.weights_precision)
    hidden, embedding = model.hidden_size or 0, model.params_embedding or 0
    head, experts = hidden * (model.vocab_size or 0), model.params_experts or 0
    linear = (model.params_total or 0) - embedding - experts
    linear_bytes = max(0, dense_bytes - 2 * embedding)
    touched = (model.experts_per_token or 0) / model.num_experts if model.num_experts else 0.0
    expert_peak, _ = tensor_peak(server, q.precision)
    # As camadas densas de um MoE podem ter outra precisão: a que os seus bytes mostram.
    dense_peak, dense_mfu = tensor_peak(server, q.precision if (
        not experts or 8 * linear_bytes < 6 * linear or q.precision in ("int4", "int8")) else (
        "fp8" if 8 * linear_bytes < 12 * linear else "bf16"))
    peak = float(server.tflops_bf16 or 0) * 1e12
    bandwidth = float(server.hbm_bandwidth_tbps or 0) * 1e12
    link = (float(server.nvlink_bandwidth_tbps or 0) * 1e12 / server.gpus / 2
            if nvlink_reaches(server, gpus) else float(server.pcie_bandwidth_gbps or 0) * GB)

    element, mean = KV_PRECISIONS[q.kv_precision], q.effective_context - q.output // 2
    read = sum(group.read_bytes(mean, element) / min(tp, group.shards)
               for group in model.layer_groups)
    absorbed = sum(2 * (model.num_attention_heads or 0) * group.pair_dims * group.layers
                   * min(mean, group.read_tokens or mean) / group.stride
                   for group in model.layer_groups if group.kind in LATENT)
    blocks = model.sublayers
    wait = blocks * ALL_REDUCE_SECONDS if gpus > 1 else 0.0
    # Segundos por token: 2 bytes por elemento, ida e volta.
    sent = blocks * 4 * hidden * (gpus - 1) / gpus / link if gpus > 1 else 0.0
    parts = {
        "weights": ((linear_bytes + 2 * head) / tp / (bandwidth * WEIGHTS_MBU),
                    2 * (linear / dense_peak + head / peak) / tp / DECODE_MFU),
        "experts": (0.0, 2 * experts * touched / tp / expert_peak / DECODE_EXPERTS_MFU),
        "kv": (0.0, read / (bandwidth * KV_MBU) + absorbed / tp / (peak * ATTENTION_MFU)),
        "communication": (wait, sent / DECODE_LINK_RATIO),
        "launch": (blocks / 2 * LAYER_SECONDS + (model.moe_layers or 0) * MOE_LAYER_SECONDS
                   + model.indexer_layers * INDEXER_LAYER_SECONDS, 0.0)}
    experts_seconds = expert_bytes / gpus / (bandwidth * EXPERTS_MBU)

    spread = q.inputs[0] * (2 * (linear / dense_peak / dense_mfu + experts * touched / expert_peak
                                  / PREFILL_EXPERTS_MFU) / gpus + sent / PREFILL_LINK_RATIO)
    attention = q.prompt_flops / (peak * ATTENTION_MFU)
    alone = max(spread + attention / tp, parts["weights"][0] + experts_seconds)
    return Speed(
        terms={"linear_params": linear, "head_params": head, "expert_params": experts,
               "weights_read_bytes": linear_bytes + 2 * head, "kv_read_bytes": read,
               "absorbed_flops": absorbed, "attention_flops": q.prompt_flops, "blocks": blocks,
               "touched_ratio": touched, "hbm_bandwidth": bandwidth, "link_bandwidth": link or 1,
               "bf16_flops": peak, "dense_flops": dense_peak, "expert_flops": expert_peak,
               "dense_prefill_mfu": dense_mfu, "replica_gpus": gpus},
        parts=parts, experts_seconds=experts_seconds, untouched=1 - touched,
        data_parallel=layout.data_parallel, output=q.output,
        prefill_seconds=spread + attention / gpus,
        alone_seconds=FIRST_TOKEN_SECONDS + q.tpot_scale * (
            alone + blocks / 2 * PREFILL_LAYER_SECONDS + wait),
        scale=mxfp4_bias(q)[0] * q.tpot_scale)


def known_speed(q: Question, layout: Layout) -> Speed:
    """`speed_of`, calculado uma vez por leiaute."""
    if layout not in q.memory:
        q.memory[layout] = speed_of(q, layout)
    speed: Speed = q.memory[layout]
    return speed


def mxfp4_bias(q: Question) -> Tuple[float, float]:
    """(fator sobre o TPOT previsto, fator sobre o pé da faixa): 1, salvo o gpt-oss em Blackwell.

    Em B200 o viés foi medido; noutra GPU com FP4 só alarga a faixa, porque não há medida.
    """
    native = q.model.native_precision == q.precision == "mxfp4"
    if not native or not q.server.tflops_fp4 or q.model.latent:
        return 1.0, 1.0
    return (MXFP4_BIAS, 1.0) if "B200" in (q.server.gpu or "").split() else (1.0, MXFP4_BIAS)


@dataclass(eq=False, repr=False, init=False)
class Performance(Record):
    """A velocidade prevista da réplica mais cheia, com a carga espalhada por `nodes` nós.

    Os pares de três são (previsto, baixo, alto), a faixa de 80% das medidas. Com os pedidos em
    fila não há TTFT.
    """

    input_tokens: int
    cached_tokens: int
    nodes: int
    sessions: int  # em andamento em todos os nós
    sessions_per_replica: int
    tpot_ms: Range
    ttft_ms: Optional[Range]
    output_tokens_per_second_per_session: Range
    output_tokens_per_second_per_node: Range
    breakdown_ms: Dict[str, float]
    binding: str
    prefill_ratio: float


def performance_of(q: Question, layout: Layout, speed: Speed, nodes: int,
                   sessions: int) -> Performance:
    """A velocidade de `sessions` sessões espalhadas por `nodes` nós."""
    fullest = ceil_div(sessions, nodes * layout.replicas_per_unit)
    low, high = TPOT_MOE_RANGE if q.model.num_experts else TPOT_RANGE
    low *= mxfp4_bias(q)[1]
    if q.calibration:
        low, high = TPOT_CALIBRATED_RANGE

    def spread(estimate: float, factors: Tuple[float, float]) -> Range:
        return estimate, estimate * factors[0], estimate * factors[1]

    parts, tpot = speed.breakdown_ms(fullest), speed.tpot_ms(fullest)
    ratio = parts["prefill_interference"] / tpot
    return Performance(
        input_tokens=q.inputs[0], cached_tokens=q.cached,
        nodes=nodes, sessions=sessions, sessions_per_replica=fullest,
        tpot_ms=spread(tpot, (low, high)),
        ttft_ms=spread(speed.ttft_ms(fullest), TTFT_RANGE) if ratio < QUEUE_RATIO else None,
        output_tokens_per_second_per_session=spread(1e3 / tpot, (1 / high, 1 / low)),
        output_tokens_per_second_per_node=spread(
            sessions / nodes * q.output / speed.latency_seconds(fullest), THROUGHPUT_RANGE),
        breakdown_ms=parts, binding=max(parts, key=lambda part: parts[part]), prefill_ratio=ratio)


# ── Nós e falhas ──────────────────────────────────────────────────────────────────────────────


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
    sessions: int  # por unidade: o menor entre plano, teto físico e objetivos
    limited_by: str
    speed: Optional[Speed]  # da carga dos objetivos, se a velocidade entra na conta dos nós

    @property
    def unit(self) -> int:
        """Nós de uma unidade."""
        return self.layout.nodes_per_unit if self.layout else 1

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
        return self.nodes(q, q.peak_headroom_ratio) + self.unit * HA_SPARES[q.ha_mode]

    def holds(self, q: Question) -> int:
        """Sessões que os nós dados mantêm, com o pico e a reserva de HA à parte; 0 se nenhuma."""
        units = (q.nodes or 0) // self.unit - HA_SPARES[q.ha_mode]
        return max(0, floor_div(units * self.sessions, 1 + q.peak_headroom_ratio))

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
    if not q.timed:
        return Offer(layout=layout, sessions=sessions, limited_by=limit, speed=None)
    speed, replicas = known_speed(q, layout), layout.replicas_per_unit
    kept = largest(ceil_div(sessions, replicas), lambda n: not speed.missed(q, n))
    if kept * replicas < sessions:
        sessions, limit = kept * replicas, speed.missed(q, kept + 1)
    return Offer(layout=layout, sessions=sessions, limited_by=limit, speed=speed)


# ── Storage, energia e custo ──────────────────────────────────────────────────────────────────


def storage_plan_of(q: Question, offer: Offer, nodes: int, sessions: int) -> Dict[str, Any]:
    """Quanto leva pôr nós no ar e trazer o KV de uma sessão de volta, e o que cabe ao storage.

    Carga de um nó = checkpoint / min(throughput, carregador) + partida do motor; um perfil
    `shared` divide o throughput pelos nós que carregam ao mesmo tempo. Repor o KV lido do storage
    compete com recalculá-lo pelo prefill de um prompt sozinho. O que o catálogo não diz é None.
    """
    storage, checkpoint = q.storage, q.checkpoint_bytes
    path = float(storage.throughput_read_gbps)

    def load_seconds(at_once: int) -> Optional[float]:
        share = path / at_once if storage.shared else path
        return (checkpoint / GB / min(share, LOADER_GBPS) + ENGINE_START_SECONDS
                if checkpoint else None)

    restore, recompute = q.kv_bytes / GB / path, None
    fresh = q.effective_context - q.output
    if offer.layout and offer.speed and fresh > 0:
        whole = q if q.inputs[0] == fresh else replace(q, input_tokens=fresh)
        recompute = known_speed(whole, offer.layout).alone_seconds - FIRST_TOKEN_SECONDS
    parked = sessions if storage.shared else ceil_div(sessions, nodes)
    return {
        "checkpoint_bytes": checkpoint or None, "scope": "shared" if storage.shared else "node",
        "loader_gbps": LOADER_GBPS, "engine_start_seconds": ENGINE_START_SECONDS,
        "node_recovery_seconds": load_seconds(offer.unit),
        "cold_start_seconds": load_seconds(nodes),
        "kv_restore_seconds": restore, "kv_recompute_seconds": recompute,
        "kv_faster": None if recompute is None else (
            "restore" if restore < recompute else "recompute"),
        "parked_sessions": parked, "parked_kv_bytes": parked * q.kv_bytes,
        "capacity_bytes": checkpoint + parked * q.kv_bytes if checkpoint else None}


def physical_of(q: Question, nodes: int) -> Dict[str, Any]:
    """Energia e espaço de `nodes` nós, pelos valores máximos do catálogo; None se ele não diz.

    Um rack tem `RACK_UNITS` U e leva até `RACK_KW` kW; um nó que sozinho passa disso tem o seu.
    """
    server, kw, units = q.server, q.server.power_kw, q.server.rack_units
    racks, in_rack = None, 0
    if kw and units:
        in_rack = min(RACK_UNITS // units, floor_div(RACK_KW, kw))
        racks = ceil_div(nodes, in_rack) if in_rack else nodes * ceil_div(units, max(
            units, RACK_UNITS))
    return {
        "power_kw": kw and nodes * kw, "rack_units": units and nodes * units, "racks": racks,
        "nodes_per_rack": in_rack or None,
        "heat_btu_h": server.heat_btu_h and nodes * server.heat_btu_h,
        "energy_mwh_year": kw and nodes * kw * q.pue * HOURS_PER_YEAR / 1000}


def costs_of(q: Question, nodes: int, sessions: int, mwh_year: MaybeExact,
             tokens_per_second: Optional[float]) -> Dict[str, Any]:
    """O custo na moeda dos preços dados, em `years` anos na potência máxima; sem preço, nada.

    Por sessão e mês, e por milhão de tokens gerados, se os nós levam a carga nominal sem parar.
    """
    if q.node_price is None and q.energy_price is None:
        return {}
    purchase = None if q.node_price is None else nodes * q.node_price
    energy = None if q.energy_price is None or mwh_year is None or q.years is None else (
        1000 * mwh_year * q.energy_price * q.years)
    total = (purchase or 0) + (energy or 0)
    monthly = tokens = None
    if q.years is not None:
        monthly = Fraction(total) / (q.years * 12 * sessions)
        if tokens_per_second:
            tokens = float(total) / (
                tokens_per_second * 3600 * HOURS_PER_YEAR * float(q.years) / 1e6)
    return {"purchase": purchase, "energy": energy, "total": total,
            "per_session_month": monthly, "per_million_output_tokens": tokens}


# ── O dimensionamento ─────────────────────────────────────────────────────────────────────────


@dataclass(eq=False, repr=False, init=False)
class SizingResult(Record):
    """Tudo o que as visões mostram. Tamanhos em bytes exatos; nada aqui é arredondado.

    O que uma comparação de milhares de linhas não mostra só se calcula quando é lido.
    """

    question: Question  # com a carga ou o contexto que a resposta deu
    asks: str  # nodes, sessions, context ou load
    offer: Offer
    layout: Optional[Layout]  # o leiaute em uso; None: falta algum dado para o teto físico
    limited_by: str  # plan, engine_memory, tpot ou ttft
    nodes_per_unit: int
    sessions_per_unit: int
    offers: Tuple[Offer, ...]  # as consideradas, da que compra menos nós à que compra mais
    wider: Tuple[int, int]  # (nós por réplica, nós no total) que comprariam bem menos, ou (0, 0)
    missing: Tuple[str, ...]  # os dados que faltam para o teto físico
    concurrency: int  # sessões em andamento
    peak_sessions: int
    peak_nodes: int  # os que levam o pico: sem a reserva de HA, ou os da carga fixa
    nodes_minimum: int
    nodes_with_headroom: int
    nodes_final: int
    nodes_other_end: Optional[int]  # com o prefixo em cache; None: sem objetivos, ou não cabe
    speed_gap: str  # por que não há velocidade prevista

    @cached_property
    def performance(self) -> Tuple[Performance, ...]:
        """A velocidade em cada carga; a dos objetivos, com todos os nós, é a primeira."""
        return tuple(performances(self))

    @cached_property
    def nominal(self) -> Optional[Performance]:
        """A velocidade na carga dos objetivos com todos os nós, sem calcular as outras."""
        return next(performances(self), None)

    @cached_property
    def storage_plan(self) -> Dict[str, Any]:
        """O tempo de carga e o KV guardado."""
        return storage_plan_of(self.question, self.offer, self.nodes_final, self.concurrency)

    @cached_property
    def physical(self) -> Dict[str, Any]:
        """Energia e espaço."""
        return physical_of(self.question, self.nodes_final)

    @cached_property
    def costs(self) -> Dict[str, Any]:
        """O custo, com os preços dados."""
        rate = self.performance[0].output_tokens_per_second_per_node[0] * self.nodes_final if (
            self.performance) else None
        return costs_of(self.question, self.nodes_final, self.concurrency,
                        self.physical["energy_mwh_year"], rate)

    @cached_property
    def warnings(self) -> Tuple[str, ...]:
        """Os avisos, do mais grave ao mais leve."""
        return tuple(warnings_of(self))

    @cached_property
    def by_context(self) -> Tuple[Tuple[int, int], ...]:
        """(contexto, sessões) nos contextos usuais, se a pergunta é quantas sessões cabem."""
        q = self.question.under(concurrency=0)
        asked = [replace(q, requested_context=context) for context in USUAL_CONTEXTS
                 if context <= q.model.max_position_embeddings]
        if self.asks != "sessions" or q.calibration:  # o TPOT medido vale num contexto só
            return ()
        return tuple((other.requested_context, answer_of(other)) for other in asked
                     if other.request_fits)

    @property
    def layouts(self) -> List[Layout]:
        """Os leiautes considerados, na ordem das ofertas."""
        return [offer.layout for offer in self.offers if offer.layout]

    @property
    def plan_sessions_per_unit(self) -> int:
        """As que só o plano admitiria."""
        return self.question.plan_sessions(self.nodes_per_unit)

    @property
    def sessions_per_node(self) -> int:
        """Sessões por nó; numa unidade de vários nós, a parte inteira de cada um."""
        return self.sessions_per_unit // self.nodes_per_unit

    @property
    def failed_nodes(self) -> int:
        """Falhas que o plano considera: as que a HA cobre, e ao menos uma."""
        return max(1, HA_SPARES[self.question.ha_mode])

    @property
    def nodes_after_failure(self) -> int:
        """Em serviço: um nó que falta tira a sua unidade inteira."""
        units, idle = divmod(self.nodes_final, self.nodes_per_unit)  # os ociosos substituem
        return max(0, units - max(0, self.failed_nodes - idle)) * self.nodes_per_unit

    def failures_covered(self, needed_nodes: int) -> int:
        """Quantos nós podem cair sem que sobrem menos que `needed_nodes` em serviço."""
        units, idle = divmod(self.nodes_final, self.nodes_per_unit)
        return max(0, idle + units - needed_nodes // self.nodes_per_unit)

    @property
    def failures_covered_nominal(self) -> int:
        """Nós que podem cair sem faltar lugar, nem objetivo, à carga nominal."""
        return self.failures_covered(self.nodes_minimum)

    @property
    def failures_covered_peak(self) -> int:
        """Nós que podem cair sem faltar lugar, nem objetivo, ao pico."""
        return self.failures_covered(self.nodes_with_headroom)

    @property
    def interrupted_sessions(self) -> int:
        """Sessões em andamento na unidade que cai; perdem o KV."""
        return ceil_div(self.concurrency, self.nodes_final // self.nodes_per_unit)

    @property
    def meets_objectives(self) -> Optional[bool]:
        """A carga nominal ainda atende aos objetivos depois das falhas; None sem objetivos."""
        return self.covers_concurrency if self.question.timed else None

    @property
    def sessions_after_failure(self) -> int:
        """As que os nós em serviço admitem."""
        return self.nodes_after_failure // self.nodes_per_unit * self.sessions_per_unit

    @property
    def covers_concurrency(self) -> bool:
        """Os nós em serviço depois das falhas bastam para a carga nominal."""
        return self.nodes_after_failure >= self.nodes_minimum

    @property
    def covers_peak(self) -> bool:
        """Os nós em serviço depois das falhas bastam para o pico."""
        return self.nodes_after_failure >= self.nodes_with_headroom

    @property
    def saturated_tokens_per_second(self) -> float:
        """Tokens gerados por segundo em um nó sempre cheio, com a carga dos objetivos."""
        if not (self.layout and self.offer.speed):
            return 0.0
        fullest = ceil_div(self.sessions_per_unit, self.layout.replicas_per_unit)
        return (self.offer.speed.saturated_tokens_per_second(fullest)
                * self.sessions_per_unit / fullest)

    @property
    def spare_sessions_at_peak(self) -> int:
        """Vagas que sobram no pico, sem contar a reserva de HA."""
        units = self.peak_nodes // self.nodes_per_unit
        return units * self.sessions_per_unit - self.peak_sessions

    @property
    def upper_kv_bytes(self) -> int:
        """KV de uma sessão num motor que reserva toda camada no comprimento inteiro."""
        q = self.question
        return sum(replace(group, cap_tokens=None).session_bytes(
            q.effective_context, KV_PRECISIONS[q.kv_precision]) for group in q.model.layer_groups)


def size(q: Question) -> SizingResult:
    """Responde à pergunta. Levanta `SizingError` (3) se nem uma sessão cabe."""
    asks, missing = q.asks, missing_for_ceiling(q)
    gap = missing or missing_for_speed(q)
    require_speed(q, gap)
    if asks == "context":
        q = longest_context(q)
    q, offers = offers_of(q, missing)
    offer = offers[0]
    unit = offer.unit
    if asks == "sessions":
        q = q.under(concurrency=offer.holds(q))
        if not q.concurrency:
            raise nothing_held(q, offer)
    with_headroom, final = offer.nodes(q, q.peak_headroom_ratio), offer.bought(q)
    if q.nodes is not None:
        if final > q.nodes:
            raise too_few_nodes(q, offer, final)
        final = q.nodes if asks == "load" else q.nodes // unit * unit
    peak_nodes = with_headroom if asks == "nodes" else final - HA_SPARES[q.ha_mode] * unit
    speed_gap = "falta no catálogo " + ", ".join(gap) if gap else (
        "a rede entre os nós de uma réplica não é modelada" if unit > 1 else "")
    if offer.layout and not (offer.speed or speed_gap):
        offer = replace(offer, speed=known_speed(q, offer.layout))
    return SizingResult(
        question=q, asks=asks, offer=offer, layout=offer.layout, limited_by=offer.limited_by,
        nodes_per_unit=unit, sessions_per_unit=offer.sessions,
        offers=tuple(item for item in offers if item.unit == unit),
        wider=wider_unit(q, final) if (offer.layout and unit == 1 and not q.timed
                                       and q.nodes is None
                                       and offer.sessions < q.plan_sessions(1)) else (0, 0),
        missing=tuple(missing),
        concurrency=offer.load(q, 0, final // unit),
        peak_sessions=offer.load(q, q.peak_headroom_ratio, peak_nodes // unit),
        peak_nodes=peak_nodes,
        nodes_minimum=offer.nodes(q, 0),
        nodes_with_headroom=with_headroom,
        nodes_final=final,
        nodes_other_end=nodes_other_end(q, offers),
        speed_gap=speed_gap)


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
    offers = offers or [Offer(layout=None, sessions=q.plan_sessions(1), limited_by="plan",
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


def require_speed(q: Question, gap: Sequence[str]) -> None:
    """Levanta `SizingError` se a pergunta precisa da velocidade e ela não pode ser prevista."""
    for name in ("max_tpot_ms", "max_ttft_ms", "requests_per_second", "calibration"):
        if gap and getattr(q, name) is not None:
            flag = flag_of(name.replace("calibration", "calibrate_tpot_ms"))
            raise SizingError(flag, "não há velocidade a prever: falta no catálogo "
                              + ", ".join(gap))


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
    if sessions > layout.sessions_per_replica:
        raise SizingError("--calibrate-tpot-ms", "espera-se até %s, o que uma réplica admite (%s)"
                          % (plural(layout.sessions_per_replica, "sessão", "sessões"), layout),
                          value="%g@%d" % (ms, sessions))
    scale = ms / speed_of(plain, layout).tpot_ms(sessions)
    if not 1 / ABSURD_CALIBRATION < scale < ABSURD_CALIBRATION:
        raise SizingError("--calibrate-tpot-ms", "o previsto é %s ms (%s): confira a unidade e a "
                          "carga medida" % (number_text(ms / scale), layout),
                          value="%g@%d" % (ms, sessions))
    return replace(q, tpot_scale=scale), [item for item in layouts if str(item) == str(layout)]


def performances(result: SizingResult) -> Iterator[Performance]:
    """A velocidade de cada ponta da carga, com todos os nós e depois das falhas consideradas."""
    q, layout, offer = result.question, result.layout, result.offer
    speed, turn = offer.speed, q.turn
    if layout is None or speed is None:
        return
    for end in (q, turn) if turn else (q,):
        if end is not q:
            speed = known_speed(end, layout)
            offer = replace(offer, speed=speed)
        for nodes in (result.nodes_final, result.nodes_after_failure):
            if nodes:
                yield performance_of(end, layout, speed, nodes, offer.load(end, 0, nodes))


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


# ── Recusas: o que falta e o que caberia ──────────────────────────────────────────────────────


def refusal(q: Question, limit: str, text: str, options: Callable[[], Options] = tuple,
            lead: str = "") -> SizingError:
    """Uma recusa de status 3: o que falta, e as opções com que caberia, para `ways_out`."""
    error = SizingError("nada cabe", text, status=3)
    error.question, error.limit, error.options, error.lead = q, limit, options, lead
    return error


def fitting(options: Iterable[Tuple[str, bool, Question]]) -> List[str]:
    """Os textos das opções que têm resposta."""
    found = []
    for text, sound, q in options:
        try:
            if sound and size(q):
                found.append(text)
        except SizingError:
            continue
    return found


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
    others = fitting((server.name, server is not q.server, replace(
        q, server=server, runtime_overhead_gib=DEFAULT_OVERHEAD_GIB_PER_GPU * server.gpus
        if default_overhead else q.runtime_overhead_gib)) for server in servers)
    if others:
        return text + "; cabe em: " + ", ".join(others)
    return text if found else text + "; em nenhum servidor do catálogo"


def plan_too_small(q: Question, unit: int) -> SizingError:
    """A recusa quando o orçamento do plano não tem lugar para uma sessão."""
    total, budget, kv_bytes = q.server.total_hbm_gb * GB, q.budget_bytes, q.kv_bytes

    def options() -> Options:
        context = largest(q.model.max_position_embeddings, lambda n: session_kv_bytes(
            q.model.layer_groups, n, q.kv_precision) <= budget)
        overhead = Fraction(floor_div((total * q.kv_budget_ratio - kv_bytes) * 1000, GIB), 1000)
        ratio = Fraction(ceil_div((kv_bytes + q.runtime_overhead_gib * GIB) * 10000, total), 10000)
        shorter = replace(q, requested_context=max(context, 1))
        return (
            ("--kv-precision fp8", KV_PRECISIONS[q.kv_precision] == 2,
             replace(q, kv_precision="fp8")),
            ("--effective-context %d" % context, context > 0 and shorter.request_fits, shorter),
            ("--runtime-overhead-gib %s" % decimal_text(overhead, 3), overhead > 0,
             replace(q, runtime_overhead_gib=overhead)),
            ("--kv-budget-ratio %s" % decimal_text(ratio, 4), ratio <= 1,
             replace(q, kv_budget_ratio=ratio)))

    return refusal(
        q, "plan", "uma sessão de %s em %s pede %s de KV e o orçamento de %s é de %s (faltam %s)"
        % (q.model.name, q.server.name, size_text(kv_bytes), plural(unit, "nó", "nós"),
           size_text(unit * budget), size_text(kv_bytes - unit * budget)),
        options, "uma sessão por nó ")


def nothing_fits(q: Question, layouts: Sequence[Layout]) -> SizingError:
    """A recusa quando o motor não admite uma sessão em leiaute algum."""
    layout = max(layouts, key=lambda item: item.kv_capacity_bytes - item.session_bytes)
    return refusal(
        q, "engine_memory", "%s em %s: no melhor leiaute (%s em %s), por GPU, pesos de %s, motor "
        "de %s e uma sessão de %s passam dos %s que o motor pode usar (faltam %s)" % (
            q.model.name, q.server.name, layout, plural(layout.nodes_per_unit, "nó", "nós"),
            *map(size_text, (layout.weights_bytes, layout.runtime_bytes, layout.session_bytes,
                             layout.usable_bytes, layout.session_bytes - layout.kv_capacity_bytes))
        ))


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


def too_few_nodes(q: Question, offer: Offer, needed: int) -> SizingError:
    """A recusa de uma carga que não cabe nos nós dados."""
    nodes, spares = q.nodes or 0, HA_SPARES[q.ha_mode] * offer.unit
    return refusal(
        q, offer.limited_by, "%s de %s %s %s de %s (%d por %s, limite: %s); esta carga pede %s%s"
        % (plural(nodes, "nó", "nós"), q.server.name, "admite" if nodes == 1 else "admitem",
           plural(nodes // offer.unit * offer.sessions, "sessão", "sessões"),
           plural(q.effective_context, "token", "tokens"), offer.sessions,
           "nó" if offer.unit == 1 else "%d nós" % offer.unit, LIMITS[offer.limited_by],
           plural(needed, "nó", "nós"), " (%d de reserva)" % spares if spares else ""),
        lambda: [("--nodes %d" % needed, True, q.under(nodes=needed))])


def nothing_held(q: Question, offer: Offer) -> SizingError:
    """A recusa quando, com a reserva de HA e o pico à parte, não sobra lugar nos nós dados."""
    nodes = q.nodes or 0
    return refusal(
        q, offer.limited_by, "%s de %s, com %d de reserva e pico de %s, não %s uma sessão "
        "(%d por %s)" % (
            plural(nodes, "nó", "nós"), q.server.name, HA_SPARES[q.ha_mode] * offer.unit,
            percent_text(q.peak_headroom_ratio), "mantém" if nodes == 1 else "mantêm",
            offer.sessions, "nó" if offer.unit == 1 else "%d nós" % offer.unit),
        lambda: [("--nodes %d" % n, True, q.under(nodes=n, concurrency=0))
                 for n in [offer.bought(q.under(concurrency=1))]])


# ── Avisos ────────────────────────────────────────────────────────────────────────────────────


def extrapolations(result: SizingResult) -> List[str]:
    """O que, nesta pergunta, está fora das medidas em que o modelo de velocidade foi conferido."""
    q, layout = result.question, result.layout
    if not layout or not result.performance:
        return []
    marks = (
        ("contexto acima de %d" % MEASURED_CONTEXT, q.effective_context > MEASURED_CONTEXT),
        ("GPU sem medidas", not set(MEASURED_GPUS) & set((q.server.gpu or "").split())),
        ("réplica de %d GPUs" % layout.gpus, layout.gpus > 8),
        ("comunicação por PCIe", layout.gpus > 1 and not nvlink_reaches(q.server, layout.gpus)),
        ("pesos " + q.precision, q.precision in ("int4", "int8")),
        ("atenção comprimida", any(g.kind == "compressed" for g in q.model.layer_groups)))
    return [text for text, outside in marks if outside]


def warnings_of(result: SizingResult) -> Iterator[str]:
    """Os avisos, `código: frase`, do mais grave ao mais leve; cada um diz o número que o causou."""
    q, storage = result.question, result.question.storage
    if q.requested_context > q.effective_context:
        yield ("context_clamped: pedidos %d tokens, acima do máximo do modelo; dimensionado com %d"
               % (q.requested_context, q.effective_context))
    if result.wider[0]:
        yield ("wider_replica: réplicas de %d nós comprariam %d nós em vez de %d, se a rede entre "
               "eles servir" % (*result.wider, result.nodes_final))
    if result.nodes_final == result.nodes_per_unit:
        bought = plural(result.nodes_final, "nó", "nós")
        yield ("single_node: %s sem HA: se um cair, param %s%s"
               % (bought, plural(result.concurrency, "sessão", "sessões"),
                  "; --ha n+1 acrescenta " + bought if q.nodes is None else ""))
    if q.nodes is not None and q.nodes % result.nodes_per_unit:
        yield ("idle_nodes: uma réplica ocupa %d nós: dos %d dados, %d não se usam"
               % (result.nodes_per_unit, q.nodes, q.nodes % result.nodes_per_unit))
    yield from speed_warnings(result)
    spare = Fraction(result.spare_sessions_at_peak, result.sessions_per_unit)
    if spare < TIGHT_LAST_NODE_RATIO and result.asks in ("nodes", "load"):
        yield ("tight_capacity: no pico %s, %s %s (abaixo de %s)"
               % ("sobra 1 vaga" if result.spare_sessions_at_peak == 1 else
                  "sobram %d vagas" % result.spare_sessions_at_peak,
                  percent_text(Fraction(floor_div(spare * 1000, 1), 1000)),
                  "do último nó" if result.nodes_per_unit == 1 else
                  "dos últimos %d nós" % result.nodes_per_unit,
                  percent_text(TIGHT_LAST_NODE_RATIO)))
    yield from ceiling_warnings(result)
    if q.kv_budget_ratio > HIGH_KV_BUDGET_RATIO:
        yield ("high_budget_ratio: %s da HBM para KV, acima de %s: risco de faltar memória para "
               "pesos, ativações e fragmentação"
               % (percent_text(q.kv_budget_ratio), percent_text(HIGH_KV_BUDGET_RATIO)))
    if q.kv_precision == "int8":
        yield ("int8_experimental: KV em int8 (1 byte) é experimental: poucos motores o servem; "
               "meça a qualidade ou use fp8, do mesmo tamanho")
    if storage.type != "local":
        yield "%s_storage: %s" % (storage.type, cold_start_text(result))
    if KV_PRECISIONS[q.kv_precision] == 2:
        fp8_bytes = replace(q, kv_precision="fp8").kv_bytes
        yield ("kv_16bit: KV em %s (2 bytes) pede %s por sessão, %s vezes os %s de fp8"
               % (q.kv_precision, size_text(q.kv_bytes),
                  decimal_text(Fraction(q.kv_bytes, fp8_bytes), 2), size_text(fp8_bytes)))


def cold_start_text(result: SizingResult) -> str:
    """A partida a frio no storage da pergunta, com o que a limita."""
    storage, plan = result.question.storage, result.storage_plan
    latency = storage.latency_read_ms_p99
    text = "%s, %s GB/s%s%s" % (
        storage.name, decimal_text(storage.throughput_read_gbps, 3),
        " divididos pelos nós" if storage.shared else " por nó",
        "" if latency is None else ", P99 de %s ms" % decimal_text(latency, 3))
    cold = plan["cold_start_seconds"]
    if cold is None:
        return text + ": a partida a frio não se calcula sem checkpoint_bytes no catálogo"
    return text + ": partida a frio de %s (%s de leitura); um nó volta em %s" % (
        seconds_text(cold), seconds_text(cold - ENGINE_START_SECONDS),
        seconds_text(plan["node_recovery_seconds"]))


def speed_warnings(result: SizingResult) -> Iterator[str]:
    """Os avisos da velocidade prevista, pela pior das cargas mostradas."""
    q, layout = result.question, result.layout
    if layout is None:
        return
    if result.speed_gap:
        yield "no_speed: não há velocidade prevista: " + result.speed_gap
        return
    slowest = max(result.performance, key=lambda item: item.tpot_ms)
    rate = slowest.output_tokens_per_second_per_session[0]
    if rate < SLOW_TOKENS_PER_SECOND:
        yield "slow_decode: %s: %s tokens/s por sessão, abaixo de %d" % (
            load_text(slowest), number_text(rate), SLOW_TOKENS_PER_SECOND)
    busiest = max(result.performance, key=lambda item: item.prefill_ratio)
    if busiest.prefill_ratio > HEAVY_PREFILL_RATIO:
        yield "heavy_prefill: %s: %d%% do tempo em prefill%s" % (
            load_text(busiest), 100 * busiest.prefill_ratio,
            "" if busiest.ttft_ms else ", pedidos em fila")
    default = q.server.max_num_seqs or DEFAULT_MAX_NUM_SEQS
    sequences = ceil_div(result.peak_sessions, result.peak_nodes // result.nodes_per_unit
                         * layout.replicas_per_unit * layout.data_parallel)
    if sequences > default:
        yield ("max_num_seqs: %d sequências por motor no pico, acima das %d que ele admite por "
               "padrão: --max-num-seqs %d" % (sequences, default, sequences))
    if not 1 / FAR_CALIBRATION < q.tpot_scale < FAR_CALIBRATION:
        yield ("far_calibration: o TPOT medido é %s vezes o previsto: confira se a carga medida é "
               "a da pergunta" % number_text(q.tpot_scale))


def load_text(item: Performance) -> str:
    """A carga de uma previsão: `prompt novo, 2 nós` ou `prefixo em cache, 1 nó`."""
    return "%s, %s" % ("prefixo em cache" if item.cached_tokens else "prompt novo",
                       plural(item.nodes, "nó", "nós"))


def ceiling_warnings(result: SizingResult) -> Iterator[str]:
    """Os avisos que comparam o plano com o que o motor de fato usa."""
    q, layout = result.question, result.layout
    if layout is None:
        yield ("no_ceiling: só o plano, que não confere se os pesos cabem; falta no catálogo: %s"
               % ", ".join(result.missing))
        return
    reserve, weights = q.runtime_overhead_gib * GIB, layout.weights_bytes * q.server.gpus
    if weights > reserve:
        yield ("weights_exceed_reserve: pesos de %s por nó, acima da reserva de %s do plano"
               % (size_text(weights), size_text(reserve)))
    idle = Fraction(layout.sessions_per_unit - result.sessions_per_unit, layout.sessions_per_unit)
    if idle > IDLE_CEILING_RATIO:
        yield ("idle_ceiling: usam-se %d das %d sessões que o motor admite: sobra %s, mais de um "
               "terço" % (result.sessions_per_unit, layout.sessions_per_unit,
                          percent_text(Fraction(floor_div(idle * 100, 1), 100))))
    if result.nodes_per_unit > 1:
        yield ("replica_spans_nodes: uma réplica não cabe em um nó; a que compra menos nós ocupa "
               "%d, e a rede entre eles decide a velocidade" % result.nodes_per_unit)


# ── A explicação: cada número com a fórmula, os valores e a fonte ─────────────────────────────

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


def figures_of(result: SizingResult) -> List[Dict[str, Any]]:
    """Os números da resposta em ordem: nome, rótulo, valor, unidade, fórmula, valores e fonte."""
    names, rows = names_of_figures(result), group_figures(result)
    total, rest = rows.pop(), {}
    for line in FIGURES.replace("\n  ", " ").strip().splitlines():
        name, label, unit, formula, source = (cell.strip() for cell in line.split("|"))
        used = set(re.findall(r"[A-Za-z_][A-Za-z_0-9]*", formula)) - {"min", "max", "floor", "ceil"}
        if name not in rest and all(names.get(word) is not None for word in (name, *used)):
            rest[name] = figure(name, label, names[name], unit, formula, names, source)
    context = rest.pop("effective_context")
    return [context, *rows, total, *rest.values()]


def figure(name: str, label: str, value: Any, unit: str, formula: str, names: Dict[str, Any],
           source: str) -> Dict[str, Any]:
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


def group_figures(result: SizingResult) -> List[Dict[str, Any]]:
    """O KV de uma sessão em cada grupo de camadas e, por último, o total."""
    q, rows = result.question, []
    element = KV_PRECISIONS[q.kv_precision]
    for number, group in enumerate(q.model.layer_groups, 1):
        held = q.effective_context if group.cap_tokens is None else min(
            q.effective_context, group.cap_tokens)
        names = dict(vars(group), element_bytes=element, held_tokens=held // group.stride,
                     bytes_per_token=group.bytes_per_token, fixed_bytes=group.fixed_bytes,
                     elements_per_token=group.elements_per_token)
        rows.append(figure(
            "kv_group_%d_bytes" % number, "KV do grupo %d, %s" % (number, group.kind),
            group.session_bytes(q.effective_context, element), "B", "layers * (held_tokens * "
            "(elements_per_token * element_bytes + bytes_per_token) + fixed_bytes)", names,
            "kv_cache_interface.py do vLLM"))
    parts = {row["name"]: row["value"] for row in rows}
    return [*rows, figure("kv_per_session_bytes", "KV de uma sessão", q.kv_bytes, "B",
                          " + ".join(parts), parts, "")]


def names_of_figures(result: SizingResult) -> Dict[str, Any]:
    """O valor de cada nome das fórmulas; None se não se aplica a esta pergunta."""
    q, layout, plan = result.question, result.layout, result.storage_plan
    planned, full = result.offer.demand(q)
    names: Dict[str, Any] = {name: value for name, value in globals().items()
                             if name.isupper() and isinstance(value, (int, float))}
    names.update({name: getattr(q, name) for name in q.__dataclass_fields__})
    names.update(effective_context=q.effective_context, output_tokens=q.output,
                 max_position_embeddings=q.model.max_position_embeddings,
                 total_hbm_gb=q.server.total_hbm_gb, hidden_size=q.model.hidden_size,
                 throughput_read_gbps=q.storage.throughput_read_gbps,
                 kv_per_session_bytes=q.kv_bytes, kv_budget_bytes=q.budget_bytes,
                 plan_sessions=result.plan_sessions_per_unit, ha_spares=HA_SPARES[q.ha_mode])
    names.update(attributes(
        result, "concurrency nodes_per_unit sessions_per_unit nodes_minimum nodes_with_headroom "
                "nodes_final nodes_after_failure sessions_after_failure interrupted_sessions"))
    names.update(plan, recovering_nodes=result.nodes_per_unit if q.storage.shared else 1,
                 starting_nodes=result.nodes_final if q.storage.shared else 1,
                 kv_total_bytes=q.kv_bytes * result.concurrency,
                 planned_sessions=planned if q.concurrency else float(planned),
                 full_sessions=full, nodes=q.nodes,
                 full_latency_seconds=float(planned / q.requests_per_second)
                 if q.requests_per_second else None,
                 max_concurrency=result.concurrency if result.asks == "sessions" else None,
                 nodes_bought=result.nodes_final if result.asks == "nodes" else None,
                 objective_sessions=result.sessions_per_unit if result.limited_by in (
                     "tpot", "ttft") else None)
    for name in ("power_kw", "heat_btu_h", "rack_units"):
        names[name + "_per_node"] = getattr(q.server, name)
    names.update(result.physical, **{
        name: 0 if value is None and name in ("purchase", "energy") else value
        for name, value in result.costs.items()})
    if layout:
        default = q.server.max_num_seqs or DEFAULT_MAX_NUM_SEQS
        each = layout.sessions_per_replica // layout.data_parallel
        names.update(vars(layout), **weight_parts(q, layout.tensor_parallel,
                                                  layout.data_parallel))
        names.update(activation_parts(q, layout.tensor_parallel, layout.data_parallel,
                                      max(each, default)))
        names.update(
            zip(("activation_bytes", "non_torch_bytes", "cuda_graphs_bytes"),
                layout.runtime_parts), runtime_bytes=layout.runtime_bytes,
            kv_capacity_bytes=layout.kv_capacity_bytes, session_bytes_per_gpu=layout.session_bytes,
            hbm_usable_gib_per_gpu=q.server.hbm_usable_gib_per_gpu,
            sequences_limit=max(each, default), ceiling_sessions=layout.sessions_per_unit)
    if result.performance and result.offer.speed:
        item, speed = result.performance[0], result.offer.speed
        names.update(speed.terms, **item.breakdown_ms)
        parallel = int(speed.terms["replica_gpus"] > 1)
        spread = speed.prefill_seconds - speed.terms["attention_flops"] / speed.terms[
            "replica_gpus"] / (speed.terms["bf16_flops"] * ATTENTION_MFU)
        names.update(
            replica_sessions=item.sessions_per_replica, parallel=parallel, scale=speed.scale,
            rows=speed.loaded(item.sessions_per_replica)[0], input_tokens=item.input_tokens,
            moe_layers=q.model.moe_layers or 0, indexer_layers=q.model.indexer_layers,
            spread_seconds=spread, prefill_seconds=speed.prefill_seconds,
            alone_seconds=speed.alone_seconds - FIRST_TOKEN_SECONDS, tpot_ms=item.tpot_ms[0],
            ttft_ms=speed.ttft_ms(item.sessions_per_replica),
            session_rate=item.output_tokens_per_second_per_session[0],
            node_rate=item.output_tokens_per_second_per_node[0])
    return names


def layout_figures(result: SizingResult) -> List[Dict[str, Any]]:
    """Os leiautes considerados, do escolhido ao pior: o teto, o que vale e os nós que compraria."""
    q = result.question
    return [{"layout": str(offer.layout), "nodes_per_unit": offer.unit,
             "ceiling_sessions": offer.layout.sessions_per_unit, "sessions": offer.sessions,
             "limited_by": offer.limited_by, "nodes": offer.bought(q) if offer.sessions else None}
            for offer in result.offers if offer.layout]


def alternatives(result: SizingResult, servers: Sequence[Server],
                 default_overhead: bool) -> List[Dict[str, Any]]:
    """O que mudaria a resposta, uma escolha por vez: {change, answer} (None: nada cabe)."""
    q = result.question
    if result.asks == "sessions":
        q = q.under(concurrency=0)
    if result.asks == "context":
        q = replace(q, requested_context=0)
    other = "fp16" if KV_PRECISIONS[q.kv_precision] == 1 else "fp8"
    options = [("KV em " + other, replace(q, kv_precision=other))]
    half = replace(q, requested_context=q.effective_context // 2)
    if result.asks != "context" and half.effective_context and half.request_fits:
        options.append(("metade do contexto, %d tokens" % half.effective_context, half))
    larger = [server for server in servers if server.total_hbm_gb > q.server.total_hbm_gb]
    if larger:
        server = min(larger, key=lambda item: item.total_hbm_gb)
        overhead = DEFAULT_OVERHEAD_GIB_PER_GPU * server.gpus
        options.append(("o servidor seguinte em HBM, %s (%s por nó)" % (
            server.name, plural(server.gpus, "GPU", "GPUs")), replace(
            q, server=server, calibration=None, tpot_scale=1.0, tensor_parallel=None,
            runtime_overhead_gib=overhead if default_overhead else q.runtime_overhead_gib)))
    found = []
    for change, option in options:
        try:
            answer: Optional[int] = answer_number(size(option))
        except SizingError:
            answer = None
        found.append({"change": change, "answer": answer})
    return found


def answer_number(result: SizingResult) -> int:
    """O número que responde à pergunta: nós, sessões, contexto ou vagas que sobram."""
    return {"nodes": result.nodes_final, "sessions": result.concurrency,
            "context": result.question.effective_context,
            "load": result.spare_sessions_at_peak}[result.asks]


# A unidade de cada resposta.
ANSWERS = {"nodes": ("nó", "nós"), "sessions": ("sessão", "sessões"),
           "context": ("token", "tokens"), "load": ("vaga livre", "vagas livres")}


def launch_lines(result: SizingResult) -> List[str]:
    """O comando do motor que põe o leiaute no ar, com comentários do que falta fazer à mão."""
    q, layout, model = result.question, result.layout, result.question.model
    if layout is None:
        return ["# sem o teto físico não há leiaute; falta no catálogo: " + ", ".join(
            result.missing)]
    if q.kv_precision == "int8":
        return ["# o vLLM não serve KV em int8; use --kv-precision fp8, do mesmo tamanho"]
    replicas, nodes, gpus = layout.replicas_per_unit, layout.nodes_per_unit, q.server.gpus
    notes, wide = [], []
    online = q.precision == "fp8" and model.native_precision in ("bf16", "fp16")
    if q.precision != model.native_precision and not online:
        notes.append("# pesos em %s: use um checkpoint nesta precisão" % q.precision)
    if KV_PRECISIONS[q.kv_precision] == 2:
        notes.append("# KV no tipo do modelo, de 16 bits como %s" % q.kv_precision)
    if nodes > 1:
        notes += ["# em cada nó da réplica, com N=0 a %d (0 é o IP_DO_NÓ_0); de N=1 em diante,"
                  % (nodes - 1), "# acrescente --headless"]
        wide = ["--data-parallel-size-local %d" % gpus,
                "--data-parallel-start-rank $((N*%d))" % gpus,
                "--data-parallel-address IP_DO_NÓ_0"] if layout.data_parallel > 1 else [
                    "--nnodes %d" % nodes, "--node-rank $N", "--master-addr IP_DO_NÓ_0"]
    if replicas > 1:
        notes.append("# %d processos por nó: o processo i usa as GPUs a partir de i*%d e a porta "
                     "8000+i" % (replicas, layout.gpus))
    words = [
        "CUDA_VISIBLE_DEVICES=" + ",".join(map(str, range(layout.gpus))) if replicas > 1 else "",
        "vllm serve " + (model.hf_id or "CAMINHO_DO_MODELO"),
        "--quantization fp8" if online else "",
        "--tensor-parallel-size %d" % layout.tensor_parallel,
        "--data-parallel-size %d --enable-expert-parallel" % layout.data_parallel
        if layout.data_parallel > 1 else "", *wide,
        "--max-model-len %d" % q.effective_context,
        "--kv-cache-dtype %s" % ("fp8" if q.kv_precision == "fp8" else "auto"),
        "--gpu-memory-utilization %s" % decimal_text(q.gpu_memory_utilization, 4),
        "--max-num-seqs %d" % ceil_div(result.sessions_per_unit, replicas * layout.data_parallel),
        "--max-num-batched-tokens %d" % (q.server.max_num_batched_tokens
                                         or DEFAULT_MAX_NUM_BATCHED_TOKENS),
        model.launch_args or "", "--port 8000" if replicas > 1 else ""]
    lines = folded(" ".join(word.replace(" ", GLUE) for word in words if word), 4, WIDTH - 2)
    return [*notes, *(line + " \\" for line in lines[:-1]), lines[-1]]


def explanation_of(result: SizingResult, servers: Sequence[Server],
                   default_overhead: bool) -> Dict[str, Any]:
    """Tudo o que `--explain` mostra, pronto para o JSON."""
    return {"figures": [dict(row, value=json_number(row["value"]))
                        for row in figures_of(result)],
            "layouts": layout_figures(result),
            "alternatives": alternatives(result, servers, default_overhead),
            "launch": launch_lines(result)}


# ── Visões: só escrevem o que está no resultado ───────────────────────────────────────────────

MAX_LINES = 24
PARTS = {"weights": "pesos", "experts": "especialistas", "kv": "leitura do KV",
         "communication": "comunicação", "launch": "partida dos kernels",
         "prefill_interference": "prefill"}

def explanation_text(result: SizingResult, parts: Dict[str, Any]) -> str:
    """`--explain` em 80 colunas: números, leiautes, avisos, o que mudaria e o comando do motor."""
    lines = folded(headline(result), 2)
    for row in parts["figures"]:
        value = exact_text(row["value"])
        if row["unit"] == "B":
            value = "%s B (%s)" % (value, size_text(row["value"]))
        elif isinstance(row["value"], float):
            value = "%s %s" % (number_text(row["value"], 9), row["unit"])
        else:
            value += " " + row["unit"]
        lines += ["", *folded("%s: %s" % (row["label"], value.strip()), 2)]
        for text in (row["formula"] and "%s = %s" % (row["name"], row["formula"]),
                     row["numbers"] and "= " + row["numbers"],
                     row["source"] and "fonte: " + row["source"]):
            lines += folded("  " + text, 4) if text else []
    if parts["layouts"]:
        lines += ["", "Leiautes: vence o que compra menos nós; no empate, o de mais sessões, o de "
                      "maior", "teto e o de menor tp."]
        table = [["leiaute", "teto", "sessões", "limite", "nós"]]
        table += [[row["layout"], str(row["ceiling_sessions"]), str(row["sessions"]),
                   LIMITS[row["limited_by"]], "-" if row["nodes"] is None else str(row["nodes"])]
                  for row in parts["layouts"]]
        lines += markdown_table(table, "lrrlr")
    lines += ["", *folded(recovery_text(result), 2)]
    lines += ["", "Avisos:" if result.warnings else "Nenhum aviso."]
    for warning in result.warnings:
        lines += folded("! " + warning, 2)
    lines += ["", "O que mudaria a resposta, uma escolha por vez:"]
    one, many = ANSWERS[result.asks]
    for row in parts["alternatives"]:
        lines += folded("%s: %s" % (row["change"], "nada cabe" if row["answer"] is None else
                                    plural(row["answer"], one, many)), 2)
    lines += ["", "Para pôr no ar (%s):" % ENGINE, *parts["launch"]]
    return "\n".join(lines) + "\n"


def recovery_text(result: SizingResult) -> str:
    """O que acontece de uma falha até o nó voltar."""
    plan, failed = result.storage_plan, result.failed_nodes
    text = "Se %s: %s. Cada nó que cai interrompe %s, que perdem o KV" % (
        "um nó cair" if failed == 1 else "%d caírem" % failed, failure_text(result),
        plural(result.interrupted_sessions, "sessão", "sessões"))
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
    if result.meets_objectives is not None:
        text += ". A carga nominal %s aos objetivos" % (
            "ainda atende" if result.meets_objectives else "já não cabe e não atende")
    return text + "."


def markdown_table(rows: Sequence[Sequence[str]], sides: str) -> List[str]:
    """Uma tabela Markdown alinhada, que se lê no terminal; `sides` é l ou r por coluna."""
    widths = [max(3, *map(len, column)) for column in zip(*rows)]
    lines = ["| %s |" % " | ".join(
        cell.rjust(width) if side == "r" else cell.ljust(width)
        for cell, width, side in zip(row, widths, sides)) for row in rows]
    ruler = "|%s|" % "|".join(":%s" % ("-" * (width + 1)) if side == "l" else "%s:" % (
        "-" * (width + 1)) for width, side in zip(widths, sides))
    return [lines[0], ruler, *lines[1:]]


def text_report(result: SizingResult) -> str:
    """O relatório, em 24 linhas de 80 colunas: a resposta, o porquê e o que preocupa."""
    sections = [folded(headline(result)), answer_lines(result), hbm_lines(result),
                speed_lines(result)]
    tail = folded(assumptions(result), 2)
    used = sum(map(len, sections)) + len(tail)
    if used > MAX_LINES - 3:  # os avisos valem mais que a barra, que está no JSON em números
        used, sections[2] = used - len(sections[2]), []
    sections += [warning_lines(result, MAX_LINES - used), tail]
    blanks = MAX_LINES - sum(map(len, sections))
    lines = sections[0]
    for section, rank in zip(sections[1:], (0, 3, 1, 2, 4)):
        # Uma linha em branco antes das seções mais distintas, enquanto couber.
        lines += [""] * bool(section and rank < blanks) + section
    return "\n".join(lines) + "\n"


def headline(result: SizingResult) -> str:
    """A resposta em uma frase."""
    q, load = result.question, plural(result.concurrency, "sessão", "sessões")
    product = "%s (%s)" % (q.server.product, q.server.name) if q.server.product else q.server.name
    if q.requests_per_second is not None:
        load = "%s/s (%s)" % ("1 pedido" if q.requests_per_second == 1 else
                              number_text(q.requests_per_second, 9) + " pedidos", load)
    return "%d × %s: %s, %s%s × %s%s, KV %s" % (
        result.nodes_final, product, q.model.name, "até " * (result.asks == "sessions"), load,
        "até " * (result.asks == "context"), plural(q.effective_context, "token", "tokens"),
        q.kv_precision)


def assumptions(result: SizingResult) -> str:
    """O que a resposta supõe e não está na pergunta, e onde há mais."""
    q = result.question
    parts = ["saída %d" % q.output] if result.performance else []
    if q.calibration:
        parts.append("tempos × %s, calibrados por %s ms com %s na réplica" % (
            number_text(q.tpot_scale), number_text(q.calibration[0], 9),
            plural(q.calibration[1], "sessão", "sessões")))
    if result.layout:
        parts.append("%s, %s da HBM" % (ENGINE, percent_text(q.gpu_memory_utilization)))
    return "Supõe: %s. Mais: --explain" % "; ".join([*parts, q.storage.name])


def answer_lines(result: SizingResult) -> List[str]:
    """Nós, sessões por nó, KV por sessão e o que resta numa falha."""
    q, layout, failed = result.question, result.layout, result.failed_nodes
    spares = q.ha_mode.upper()
    ha = "sem HA" if q.ha_mode == "none" else "com %s %d" % (spares, result.nodes_final)
    peak = "com pico de %s (%s)" % (percent_text(q.peak_headroom_ratio), plural(
        result.peak_sessions, "sessão", "sessões"))
    if result.asks == "nodes":
        steps = "capacidade pura %d → %s %d → %s" % (
            result.nodes_minimum, peak, result.nodes_with_headroom, ha.replace(" ", GLUE))
    elif result.asks == "load":
        steps = "a carga cabe em %s (%s); o mínimo é %d" % (
            plural(result.nodes_final, "nó", "nós"),
            plural(result.spare_sessions_at_peak, "vaga livre", "vagas livres"),
            result.nodes_minimum)
    else:
        steps = "%s: %s %s" % (
            plural(result.nodes_final, "dado", "dados"), peak,
            "sem HA" if q.ha_mode == "none" else "com %s à parte" % spares)
    rows = [("Nós", steps),
            ("Sessões/nó" if result.nodes_per_unit == 1
             else "Sessões/%d nós" % result.nodes_per_unit, limit_text(result))]
    if result.nodes_other_end is not None:
        rows.append(("", "com o prefixo em cache (+%d tokens por pedido): %s" % (
            TURN_TOKENS, plural(result.nodes_other_end, "nó", "nós"))))
    if layout:
        others = ["; %s:%s%d" % (str(item).replace(" ", GLUE), GLUE, item.sessions_per_unit)
                  for item in result.layouts[1:] if item.sessions_per_unit]
        rows.append(("", "teto físico: ~%d (%s)%s%s" % (
            layout.sessions_per_unit, layout, "".join(others[:3]), "; …" * (len(others) > 3))))
    rows += [("KV por sessão", "%s (%s: %s)%s" % (
                 size_text(q.kv_bytes), plural(result.concurrency, "sessão", "sessões"),
                 size_text(q.kv_bytes * result.concurrency),
                 "; %s sem janelas" % size_text(result.upper_kv_bytes)
                 if result.upper_kv_bytes > q.kv_bytes else "")),
             ("Se um nó cair" if failed == 1 else "Se %d caírem" % failed, failure_text(result)),
             ("Instalação", physical_text(result))]
    rows += [("Custo", cost_text(result))] if result.costs else []
    if result.by_context:
        rows.append(("Por contexto", "; ".join("%d:%s%d" % (context, GLUE, sessions)
                                               for context, sessions in result.by_context)))
    return [line for label, text in rows for line in folded("%-14s %s" % (label, text), 15)]


def physical_text(result: SizingResult) -> str:
    """Energia, espaço e os tempos de carga."""
    physical, plan = result.physical, result.storage_plan
    parts = ["%s %s" % (amount_text(physical[name]), unit) for name, unit in (
        ("power_kw", "kW"), ("rack_units", "U")) if physical[name]]
    if physical["racks"]:
        parts.append("%s %s" % (amount_text(physical["racks"]),
                                "rack" if physical["racks"] == 1 else "racks"))
    one, cold = plan["node_recovery_seconds"], plan["cold_start_seconds"]
    if cold is not None:
        parts.append("carga %s (um nó ou todos)" % seconds_text(one) if one == cold else
                     "carga de um nó %s, de todos %s" % (seconds_text(one), seconds_text(cold)))
    return "; ".join(parts) or "o catálogo não diz energia, espaço nem pesos"


def cost_text(result: SizingResult) -> str:
    """O custo com os preços dados."""
    costs, parts = result.costs, []
    for name, label in (("purchase", "compra %s"), ("energy", "energia %s"), ("total", "total %s"),
                        ("per_session_month", "%s por sessão e mês"),
                        ("per_million_output_tokens", "%s por milhão de tokens")):
        value = costs[name]
        if value is not None and (name != "total" or None not in (costs["purchase"],
                                                                  costs["energy"])):
            parts.append(label % money_text(value))
    years = result.question.years
    parts += ["sem a energia"] if costs["energy"] is None else []
    parts += ["sem a compra"] if costs["purchase"] is None else []
    return "; ".join(parts) + ("" if years is None else " (%s anos)" % decimal_text(years, 2))


def money_text(value: Union[Exact, float]) -> str:
    """Um valor em dinheiro: centavos só abaixo de 1000."""
    return decimal_text(Fraction(value), 0 if value >= 1000 else 2 if value >= 1 else 4)


def limit_text(result: SizingResult) -> str:
    """Quantas sessões cabem numa unidade e o que as limita."""
    q, limit = result.question, LIMITS[result.limited_by]
    if result.limited_by == "plan":
        return "%d, limite: %s (%s da HBM nominal - %s GiB por nó)" % (
            result.sessions_per_unit, limit, percent_text(q.kv_budget_ratio),
            decimal_text(q.runtime_overhead_gib, 3))
    objective = {"tpot": q.max_tpot_ms, "ttft": q.max_ttft_ms}.get(result.limited_by)
    text = limit + (" de %s ms" % number_text(objective, 9) if objective else "")
    if result.layout and result.offer.speed and result.limited_by == "ttft":
        fullest = result.sessions_per_unit // result.layout.replicas_per_unit
        if result.offer.speed.prefill_ratio(fullest + 1) >= QUEUE_RATIO:
            text += ", que a fila impede acima disto"
    return "%d, limite: %s (o plano daria %d)" % (result.sessions_per_unit, text,
                                                  result.plan_sessions_per_unit)


def failure_text(result: SizingResult) -> str:
    """O que ainda é servido depois das falhas que o plano considera."""
    left, admitted = result.nodes_after_failure, result.sessions_after_failure
    if not left:
        return "nenhum nó resta: o serviço para"
    nodes = plural(left, "nó", "nós") if result.nodes_per_unit == 1 else (
        "%d de %d nós (para a unidade de %d)" % (left, result.nodes_final, result.nodes_per_unit))
    text = "%s, até %s: " % (nodes, plural(admitted, "sessão", "sessões"))
    if result.question.requests_per_second is not None:
        return text + ("pico coberto" if result.covers_peak else "taxa nominal coberta, o pico não"
                       if result.covers_concurrency else "a taxa pede %d nós"
                       % result.nodes_minimum)
    if result.covers_peak:
        return text + "pico de %d coberto (folga %d)" % (result.peak_sessions,
                                                         admitted - result.peak_sessions)
    if result.covers_concurrency:
        return text + "carga nominal coberta; no pico faltam %s" % plural(
            result.peak_sessions - admitted, "vaga", "vagas")
    return text + "faltam %s já na carga nominal" % plural(
        result.concurrency - admitted, "vaga", "vagas")


def hbm_lines(result: SizingResult) -> List[str]:
    """A barra de como se divide a HBM visível de um nó, com a legenda em GiB."""
    layout, gpus = result.layout, result.question.server.gpus
    if layout is None:
        return []
    total = (result.question.server.hbm_usable_gib_per_gpu or 0) * GIB * gpus
    plan = layout.session_bytes * layout.tensor_parallel * Fraction(
        result.sessions_per_unit, result.nodes_per_unit)
    parts = (("▓", "pesos", layout.weights_bytes * gpus),
             ("▒", "motor", layout.runtime_bytes * gpus), ("█", "KV das sessões", plan),
             ("░", "livre", layout.kv_capacity_bytes * gpus - plan),
             (".", "fora do motor", total - layout.usable_bytes * gpus))
    bar, seen = "", Fraction(0)
    for mark, _, part in parts:
        seen += part
        bar += mark * (round(seen * (WIDTH - 2) / total) - len(bar))
    legend = "  ".join("%s %s %s" % (mark, label, decimal_text(Fraction(part) / GIB, 0))
                       for mark, label, part in parts)
    title = "HBM por nó     %s GiB visíveis em %s; em GiB:" % (
        decimal_text(Fraction(total) / GIB, 0), plural(gpus, "GPU", "GPUs"))
    return [*folded(title, 15), "[%s]" % bar, *folded(legend)]


def speed_lines(result: SizingResult) -> List[str]:
    """Uma linha por carga: TPOT, tokens/s por sessão e por nó e TTFT, com a faixa de 80%."""
    rows, binds = [("Previsto (80%)", "TPOT ms", "tok/s sessão", "tok/s nó", "TTFT ms")], []
    for item in result.performance:
        kind = "cache" if item.cached_tokens else "novo"
        nodes = plural(item.nodes, "nó", "nós") if item.nodes < 100 else (
            "todos" if item.nodes == result.nodes_final else "falha")
        rows.append((kind + ", " + nodes, range_text(item.tpot_ms),
                     range_text(item.output_tokens_per_second_per_session),
                     range_text(item.output_tokens_per_second_per_node),
                     range_text(item.ttft_ms) if item.ttft_ms else "fila"))
        if item.nodes == result.nodes_final:
            binds.append("%s %d%% (%s: %s%d)" % (
                PARTS[item.binding], 100 * item.breakdown_ms[item.binding] / item.tpot_ms[0], kind,
                "+" if item.cached_tokens else "", item.input_tokens))
    if not result.performance:
        return []
    lines = [label + tpot.rjust(29 - len(label)) + "%17s%17s%17s" % tuple(rest)
             for label, tpot, *rest in rows]
    lines += folded("Domina: " + "; ".join(binds), 2)
    outside = extrapolations(result)
    return lines + (folded("Extrapolado: " + "; ".join(outside), 2) if outside else [])


def range_text(figure: Range) -> str:
    """Previsto e faixa: `212 (160-300)`; milhares com k, milhões com M."""
    divisor, unit = next((size for size in ((10**6, "M"), (1000, "k"))
                          if figure[0] >= 0.9995 * size[0]), (1, ""))
    estimate, low, high = (value / divisor for value in figure)
    if estimate < 1:
        return "%.2f (%.2f-%.2f)" % (estimate, low, high)
    return "%s%s (%s-%s)" % (number_text(estimate, 3 if estimate >= 1 else 2), unit,
                             number_text(low, 2), number_text(high, 2))


def warning_lines(result: SizingResult, room: int) -> List[str]:
    """Os três avisos mais graves que cabem em `room` linhas; os outros são contados."""
    count = len(result.warnings)
    lines = [plural(count, "aviso", "avisos") if count else "Nenhum aviso"]
    for shown, warning in enumerate(result.warnings):
        more = folded("! " + warning, 2)
        if shown == 3 or len(lines) + len(more) > room:
            lines[0] += " (à vista: %d; todos em --explain)" % shown
            break
        lines += more
    return lines


def json_document(result: SizingResult) -> Dict[str, Any]:
    """O resultado como documento JSON (schema_version 1): bytes inteiros e GiB arredondados."""
    q, kv_bytes = result.question, result.question.kv_bytes
    kv_total = kv_bytes * result.concurrency
    return {
        "schema_version": 1,
        "question": result.asks,
        "model": q.model.document,
        "server": q.server.document,
        "storage": q.storage.document,
        "parameters": parameters_json(q, concurrency=result.concurrency),
        "results": {
            "kv_per_session_gib": significant(Fraction(kv_bytes, GIB)),
            "kv_per_session_bytes": kv_bytes,
            "kv_total_tib": significant(Fraction(kv_total, TIB)),
            "kv_total_bytes": kv_total,
            "kv_budget_gib": significant(q.budget_bytes / GIB),
            "kv_budget_bytes": floor_div(q.budget_bytes, 1),
            **attributes(result, "sessions_per_node sessions_per_unit nodes_per_unit limited_by "
                                 "peak_sessions nodes_minimum nodes_with_headroom nodes_final"),
            **({"max_concurrency": result.concurrency, "by_context": [
                {"effective_context": context, "max_concurrency": sessions}
                for context, sessions in result.by_context]} if result.asks == "sessions" else {}),
            **({"max_context": q.effective_context} if result.asks == "context" else {}),
        },
        **({"engine": engine_json(result, result.layout)} if result.layout else {}),
        "performance": performance_json(result),
        "storage_plan": plain(result.storage_plan),
        "ha_plan": attributes(result, "failed_nodes nodes_after_failure sessions_after_failure "
                                      "covers_concurrency covers_peak failures_covered_nominal "
                                      "failures_covered_peak interrupted_sessions "
                                      "meets_objectives"),
        "physical": plain(result.physical),
        **({"costs": plain(result.costs)} if result.costs else {}),
        "warnings": list(result.warnings),
    }


def parameters_json(q: Question, **known: Any) -> Dict[str, Any]:
    """O que foi perguntado, com os padrões."""
    asked = {name: json_number(getattr(q, name)) for name in q.__dataclass_fields__
             if name not in ("model", "server", "storage")}
    return dict(asked, effective_context=q.effective_context, output_tokens=q.output, **known)


def refused_json(q: Question, error: SizingError) -> Dict[str, Any]:
    """Uma linha de comparação sem resposta: `results` null e o porquê em `error`."""
    return {"schema_version": 1, "question": q.asks, "model": q.model.document,
            "server": q.server.document, "storage": q.storage.document,
            "parameters": parameters_json(q), "results": None, "error": str(error)}


def plain(values: Dict[str, Any]) -> Dict[str, Any]:
    """Os valores como o JSON os leva: frações e floats com até 9 algarismos."""
    return {name: significant(value) if isinstance(value, float) else json_number(value)
            for name, value in values.items()}


def attributes(source: Any, names: str) -> Dict[str, Any]:
    """Os atributos de `source` com estes nomes, como estão."""
    return {name: getattr(source, name) for name in names.split()}


def performance_json(result: SizingResult) -> Optional[Dict[str, Any]]:
    """A previsão da carga dos objetivos com todos os nós, e as de todas as cargas em `cases`."""
    if not result.performance:
        return None
    cases = [case_json(item) for item in result.performance]
    return dict(cases[0], interval_ratio=0.8, extrapolated=extrapolations(result),
                saturated_output_tokens_per_second_per_node=significant(
                    result.saturated_tokens_per_second),
                nodes_other_end=result.nodes_other_end, cases=cases)


def case_json(item: Performance) -> Dict[str, Any]:
    """A previsão de uma carga; as faixas das taxas ficam ao lado, em `*_range`."""
    case: Dict[str, Any] = {}
    for name, value in vars(item).items():
        if isinstance(value, dict):
            value = {part: significant(ms) for part, ms in value.items()}
        elif isinstance(value, float):
            value = significant(value)
        elif isinstance(value, tuple):
            estimate, low, high = map(significant, value)
            value = {"estimate": estimate, "low": low, "high": high}
            if "per_second" in name:
                case[name + "_range"] = {"low": low, "high": high}
                value = estimate
        case[name] = value
    return case


def engine_json(result: SizingResult, layout: Layout) -> Dict[str, Any]:
    """O leiaute em uso, o que ele ocupa por GPU e o que os outros admitiriam."""
    def gib(names: str) -> Dict[str, float]:
        return {name + "_gib_per_gpu": significant(Fraction(getattr(layout, name + "_bytes"), GIB))
                for name in names.split()}

    q, parts = result.question, ("activation", "non_torch", "cuda_graphs")
    tokens = layout.kv_capacity_bytes * layout.data_parallel * q.effective_context
    return {
        "engine": ENGINE,
        "layout": str(layout),
        **attributes(layout, "tensor_parallel data_parallel sessions_per_replica"),
        "replicas_per_node": layout.replicas_per_unit // layout.nodes_per_unit,
        "nodes_per_replica": layout.nodes_per_unit,
        "gpu_memory_utilization": json_number(q.gpu_memory_utilization),
        "hbm_usable_gib_per_gpu": json_number(q.server.hbm_usable_gib_per_gpu),
        **gib("weights runtime kv_capacity"),
        "runtime_parts_gib_per_gpu": {name: significant(Fraction(part, GIB)) for name, part
                                      in zip(parts, layout.runtime_parts)},
        "kv_capacity_tokens_per_replica": floor_div(tokens, layout.session_bytes),
        "kv_per_session_bytes_per_gpu": layout.session_bytes,
        "kv_per_session_upper_bytes": result.upper_kv_bytes,
        "sessions_per_node": layout.sessions_per_unit // layout.nodes_per_unit,
        "layouts": [dict(attributes(item, "sessions_per_unit nodes_per_unit"), layout=str(item),
                         kv_capacity_gib_per_gpu=significant(
                             Fraction(item.kv_capacity_bytes, GIB))) for item in result.layouts],
    }


# O que as linhas de uma comparação podem variar: flag → (título, como se lê da pergunta).
VARIED: Dict[str, Tuple[str, Callable[[Any], str]]] = {
    "--model": ("modelo", lambda q: q.model.name),
    "--server": ("servidor", lambda q: q.server.name),
    "--concurrency": ("sessões", lambda q: str(q.concurrency)),
    "--effective-context": ("contexto", lambda q: str(q.effective_context) + (
        " (de %d)" % q.requested_context if q.requested_context > q.effective_context else "")),
    "--kv-precision": ("KV", lambda q: q.kv_precision),
    "--ha": ("HA", lambda q: q.ha_mode)}
# As colunas de cada pergunta: (título, lado, valor).
ANSWER_COLUMNS = {"nodes": "nós", "sessions": "mantém", "context": "até tokens", "load": "vagas"}
# Ordem das linhas → (o que é ser a melhor, o que se compara; None vem por último).
SORTS: Dict[str, Tuple[str, Callable[[Any], Any]]] = {
    "nodes": ("menos nós", lambda r: r.nodes_final),
    "sessions_per_node": ("mais sessões por nó", lambda r: -r.sessions_per_node),
    "tpot_ms": ("menor TPOT", lambda r: r.nominal and r.nominal.tpot_ms[0]),
    "power_kw": ("menos kW", lambda r: r.physical["power_kw"]),
    "rack_units": ("menos U", lambda r: r.physical["rack_units"])}


def rank(result: SizingResult, sort: Optional[str]) -> Tuple[Any, ...]:
    """A posição de uma linha: a ordem pedida, ou a da pergunta; no empate, nós, kW e TPOT.

    Servidores diferentes se comparam pela potência, que acompanha o preço e o espaço: um nó pode
    ser uma máquina de mesa ou um rack de 72 GPUs.
    """
    first = SORTS[sort][1](result) if sort else SORTS["power_kw"][1](result) if (
        result.asks == "nodes") else -answer_number(result)
    keys = [None if not (sort or result.nominal) else 0, first]
    keys += [SORTS[name][1](result) for name in ("nodes", "power_kw", "tpot_ms")]
    return tuple((key is None, key or 0) for key in keys)


def best_rows(rows: Sequence[Outcome], sort: Optional[str]) -> List[int]:
    """Os índices das melhores linhas: uma por carga (sessões, contexto e HA) com escolha."""
    groups: Dict[Any, List[int]] = {}
    for index, (q, _, _) in enumerate(rows):
        groups.setdefault((q.concurrency, q.requested_context, q.ha_mode), []).append(index)
    found = []
    for indexes in groups.values():
        good = [index for index in indexes if isinstance(rows[index][1], SizingResult)]
        if good and len(indexes) > 1:
            found.append(min(good, key=lambda index: rank(rows[index][1], sort)))
    return found


def comparison_text(rows: Sequence[Outcome], varied: Sequence[str], sort: Optional[str]) -> str:
    """A comparação como tabela Markdown; embaixo, por que não cabe o que não cabe."""
    first = rows[0][0]
    asks, scenario = first.asks, bool(rows[0][2])
    fixed = [text for flag, text in (
        ("--model", first.model.name), ("--server", first.server.name),
        ("--concurrency", plural(first.concurrency, "sessão", "sessões") if first.concurrency
         else ""), ("--effective-context", "%d tokens" % first.effective_context
                    if first.requested_context else ""),
        ("--kv-precision", "KV " + first.kv_precision), ("--ha", "" if scenario else
                                                         "HA " + first.ha_mode))
        if text and flag not in varied]
    fixed += [] if scenario else ["pico de " + percent_text(first.peak_headroom_ratio)]
    if first.requests_per_second is not None:
        fixed.append("%s pedidos/s" % number_text(first.requests_per_second, 9))
    if first.nodes is not None:
        fixed.append("%s por linha" % plural(first.nodes, "nó", "nós"))
    titles = ["cenário"] * scenario + [VARIED[flag][0] for flag in varied]
    head = ["", *titles, ANSWER_COLUMNS[asks], "sessões/nó", "limite", "TPOT ms", "kW", "U"]
    priced = first.node_price is not None or first.energy_price is not None
    head += ["custo"] * priced + ["quedas cobertas"] * scenario
    table, reasons, best = [head], [], best_rows(rows, sort)
    for index, (q, outcome, label) in enumerate(rows):
        cells = ["*" if index in best else ""] + [label] * scenario
        cells += [VARIED[flag][1](q) for flag in varied]
        if isinstance(outcome, SizingResult):
            unit = outcome.nodes_per_unit
            cells += [str(answer_number(outcome)), "%d%s" % (
                outcome.sessions_per_unit, " em %d" % unit if unit > 1 else ""),
                      LIMITS[outcome.limited_by], range_text(outcome.nominal.tpot_ms)
                      if outcome.nominal else "-"]
            cells += ["-" if value is None else decimal_text(value, 2) for value in (
                outcome.physical["power_kw"], outcome.physical["rack_units"])]
            cells += [money_text(outcome.costs["total"])] if priced else []
            cells += ["pico %d, nominal %d" % (
                outcome.failures_covered_peak, outcome.failures_covered_nominal)] * scenario
        else:
            cells += ["-", "-", "não cabe" if outcome.status == 3 else "recusado", "-", "-", "-"]
            cells += ["-"] * (scenario + priced)
            reason = outcome.expected if outcome.status == 3 else str(outcome)
            reasons += folded("- %s: %s" % (", ".join(cells[1:1 + len(titles)]), reason), 2)
        table.append(cells)
    sides = "l" + "l" * scenario + "".join(
        "r" if flag in ("--concurrency", "--effective-context") else "l" for flag in varied)
    sides += "rrlrrr" + "r" * (scenario + priced)
    load = next((item.nominal for _, item, _ in rows
                 if isinstance(item, SizingResult) and item.nominal), None)
    notes = ["* a melhor de cada carga: " + (SORTS[sort][0] if sort else "menos kW" if (
        asks == "nodes") else "a maior resposta")] if best else []
    notes += ["%s: pico de %s, HA %s, %s da HBM para KV" % (
        label, percent_text(q.peak_headroom_ratio), q.ha_mode, percent_text(q.kv_budget_ratio))
        for q, _, label in rows if scenario]
    if load:
        notes.append("TPOT previsto e faixa de 80%%, %s, com todos os nós no ar" % (
            "prefixo em cache" if load.cached_tokens else "todo pedido com prompt novo"))
    text = [*folded(", ".join(fixed)), "", *markdown_table(table, sides), ""]
    notes = folded("; ".join(notes) + ".", 2) if notes else []
    return "\n".join([*text, *reasons, *notes]).rstrip("\n") + "\n"


def json_lines(documents: Iterable[Dict[str, Any]], ascii_only: bool) -> Iterator[str]:
    """Uma lista JSON aos pedaços, um documento por linha; as entradas de catálogo se repetem."""
    known: Dict[int, str] = {}
    yield "["
    for number, document in enumerate(documents):
        parts = []
        for name, value in document.items():
            text = known.get(id(value)) or json.dumps(value, ensure_ascii=ascii_only)
            if name in ("model", "server", "storage"):
                known[id(value)] = text
            parts.append('"%s": %s' % (name, text))
        yield "%s\n{%s}" % ("," if number else "", ", ".join(parts))
    yield "\n]\n"


def flat(document: Dict[str, Any], path: str = "") -> Iterator[Tuple[str, Any]]:
    """(caminho, valor) de cada valor simples de um documento; as listas de textos, juntas."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield from flat(value, path + name + ".")
        elif isinstance(value, (list, tuple)):
            if all(isinstance(item, str) for item in value) and name not in ("source", "notes"):
                yield path + name, "; ".join(value)
        elif name not in ("source", "notes"):
            yield path + name, value


def csv_text(documents: Iterable[Dict[str, Any]]) -> str:
    """Uma linha por documento (RFC 4180), com uma coluna por caminho do JSON."""
    import csv
    import io

    columns: Dict[str, int] = {}
    rows = []
    known: Dict[int, List[Tuple[str, Any]]] = {}  # as entradas de catálogo se repetem
    for document in documents:
        row: List[Any] = [""] * len(columns)
        for block, content in document.items():
            shared = isinstance(content, dict) and block in ("model", "server", "storage")
            cells = known.get(id(content)) if shared else None
            if cells is None:
                cells = list(flat({block: content}))
                if shared:
                    known[id(content)] = cells
            for name, value in cells:
                if columns.setdefault(name, len(row)) == len(row):
                    row.append("")
                row[columns[name]] = json.dumps(value) if isinstance(value, bool) else value
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
               "throughput_write_gbps=escr._GB/s latency_read_ms_p99=P99_ms",
}


def catalogue_table(kind: str, entries: Sequence[Any]) -> str:
    """As entradas de um catálogo em colunas, com os apelidos embaixo de cada nome."""
    names, marked = zip(*(column.split("=") for column in LIST_COLUMNS[kind].split()))
    titles = [title.replace("_", " ") for title in marked]
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


# ── Linha de comando ──────────────────────────────────────────────────────────────────────────

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


def flag_rows() -> Iterator[Tuple[str, str, str]]:
    """(flag, nome do valor, ajuda) de cada flag; ("", "", título) de cada grupo."""
    for line in FLAGS_TEXT.replace("\n  ", " ").strip().splitlines():
        head, _, text = line.partition(": ")
        flag, _, metavar = head.partition(" ")
        yield (flag, metavar, text) if line.startswith("--") else ("", "", line)


ALSO = {"--json": ("--json-only",), "--help": ("-h",)}
# O que dispensa a pergunta, com as únicas flags que aceita ao lado.
STANDALONE = {**dict.fromkeys(("version", "list", "validate"),
                              "json csv models_file servers_file storage_file"),
              "print_model": "json hf_config weights_gib effective_context"}
CHOICES: Dict[str, Any] = {"--ha": HA_SPARES, "--kv-precision": KV_PRECISIONS,
                           "--weights-precision": WEIGHT_BITS, "--sort": SORTS}

UNITS = {"k": 1000, "m": 10**6}
TOKENS = {"k": 1024, "m": 1024**2}
RATIO = {"%": Fraction(1, 100)}
# Nome do valor → (sufixos, só inteiros?, faixa, esperado).
NUMBERS: Dict[str, Tuple[Dict[str, Any], bool, Callable[[Fraction], bool], str]] = {
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
            group.add_argument(flag, metavar=metavar, help=text)
        else:
            group.add_argument(flag, *ALSO.get(flag, ()), action="store_const", const=True,
                               help=text)
    return parser


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """As flags como texto (None se ausentes). Levanta `SizingError`."""
    takes_value = {flag for flag, metavar, _ in flag_rows() if metavar}
    words: List[str] = []
    for word in argv:  # `--flag -1e5`: o argparse tomaria o valor negativo por outra flag
        if words and words[-1] in takes_value and word[:1] == "-" != word[1:2]:
            words[-1] += "=" + word
        else:
            words.append(word)
    args, unknown = build_parser().parse_known_args(words)
    if unknown:
        known = [flag for flag, _, _ in flag_rows()]
        raise SizingError("argumento desconhecido", "veja --help" + nearest(unknown[0], known),
                          value=unknown[0])
    for name, value in vars(args).items():
        if isinstance(value, list):  # o argparse lê `--flag=--` como uma lista vazia
            setattr(args, name, "--")
    return args


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


def value_of(args: argparse.Namespace, flag: str) -> Any:
    """O que foi dado a uma flag; None se não foi."""
    return getattr(args, flag[2:].replace("-", "_"))


def elements_of(args: argparse.Namespace, flag: str) -> List[str]:
    """Os elementos da lista dada a uma flag que aceita comparar; nenhum se ela não foi dada."""
    text: Optional[str] = value_of(args, flag)
    return [] if text is None else text.split(",")


def values_of(args: argparse.Namespace) -> Dict[str, Any]:
    """O valor de cada flag numérica ou de escolha dada; uma lista nas de `VARIED`.

    Levanta `SizingError` com a flag e o elemento.
    """
    values: Dict[str, Any] = {}
    for flag, metavar, _ in flag_rows():
        text: Optional[str] = value_of(args, flag) if metavar else None
        if text is None:
            continue
        found: List[Any] = []
        for element in elements_of(args, flag) if flag in VARIED else [text]:
            if element != text and re.fullmatch("0[0-9]+", element):
                raise SizingError(flag, "a vírgula separa os valores a comparar, e o milhar não "
                                  "se separa", value=text)
            try:
                if metavar in NUMBERS and (flag, text.lower()) != ("--tensor-parallel", "auto"):
                    found.append(quantity(flag, metavar, element))
                elif flag in CHOICES:
                    found.append(choice(flag, element, tuple(CHOICES[flag])))
            except SizingError as error:
                if element != text:
                    error.expected += "; a vírgula separa os valores a comparar"
                raise
        if found:
            values[flag[2:].replace("-", "_")] = found if flag in VARIED else found[0]
    return values


def file_of(args: argparse.Namespace, kind: str) -> Tuple[str, str]:
    """(caminho, nome nas mensagens) de um catálogo: o da flag, ou o que está ao lado do script."""
    given: Optional[str] = getattr(args, kind + "_file")
    if given is not None:
        return given, given or "''"
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


def read_catalogue(args: argparse.Namespace, kind: str) -> Tuple[List[Any], List[SizingError]]:
    """Lê e verifica um catálogo: (entradas, problemas)."""
    path, shown = file_of(args, kind)
    try:
        return load_catalogue(kind, shown, read_file(path, shown))
    except SizingError as error:
        return [], [error]


def require_catalogue(args: argparse.Namespace, kind: str) -> List[Any]:
    """As entradas de um catálogo sem problemas. Levanta o primeiro `SizingError` que houver."""
    entries, problems = read_catalogue(args, kind)
    if problems:
        if len(problems) > 1:
            problems[0].expected += " (e mais %s: veja --validate)" % plural(
                len(problems) - 1, "problema", "problemas")
        raise problems[0]
    return entries


def hf_entry(args: argparse.Namespace) -> Dict[str, Any]:
    """A entrada de `models.json` do config.json de --hf-config. Levanta `SizingError`."""
    path = args.hf_config
    config, _, _ = parse_json(path, read_file(path, path))
    folder, base = os.path.split(os.path.abspath(path))
    stem = base.rsplit(".", 1)[0]
    name = "".join(c if c in NAME_CHARACTERS else "-" for c in
                   (os.path.basename(folder) if stem == "config" else stem).lower())[:80]
    values = values_of(args)
    weights, contexts = values.get("weights_gib"), values.get("effective_context", [])
    index = os.path.join(folder, "model.safetensors.index.json")
    index_bytes = None
    if weights is None and os.path.exists(index):
        content, _, _ = parse_json(index, read_file(index, index))
        index_bytes = HfConfig(index, content).child("metadata").count("total_size", high=10**15)
    return model_from_hf_config(path, config, name or "modelo", index_bytes,
                                None if weights is None else ceil_div(weights * GIB, 1),
                                contexts[0] if len(contexts) == 1 else None)


def hf_model(args: argparse.Namespace) -> Tuple[Model, Dict[str, Any]]:
    """(modelo, entrada de `models.json`) de --hf-config, verificada como as do catálogo."""
    entry = hf_entry(args)
    models, problems = check_document("models", {"models": [entry]})
    for path, value, expected in problems:
        raise SizingError(args.hf_config, expected, path=path[2:], value=value)
    return models[0], entry


# Flag → as que não se combinam com ela.
EXCLUSIVE = {"--hf-config": "--model --models-file", "--weights-gib": "--weights-precision",
             "--requests-per-second": "--concurrency", "--json": "--csv",
             "--explain": "--csv --scenarios", "--scenarios": "--ha"}
# Flag → as que lhe dão efeito: uma delas é preciso.
NEEDED = {"--weights-gib": "--hf-config", "--energy-price": "--years",
          "--years": "--node-price --energy-price"}


def check_combination(args: argparse.Namespace) -> None:
    """Levanta `SizingError` se falta uma flag na pergunta ou se duas não se combinam."""
    def given(flag: str) -> bool:
        return value_of(args, flag) is not None

    needed = ["--model" if args.hf_config is None else "--hf-config", "--server"]
    missing = [flag for flag in needed if not given(flag)]
    if missing:
        raise SizingError("pergunta incompleta", "%s %s; veja --help" % (
            "falta" if len(missing) == 1 else "faltam", ", ".join(missing)))
    for flag, others in NEEDED.items():
        if given(flag) and not any(map(given, others.split())):
            raise SizingError(flag, "só tem efeito com " + " ou ".join(others.split()))
    several = [flag for flag in VARIED if len(elements_of(args, flag)) > 1
               or (value_of(args, flag) or "").lower() == "all"]
    load = given("--concurrency") or given("--requests-per-second")
    exclusive = dict(EXCLUSIVE)
    if given("--nodes") and load and given("--effective-context"):
        exclusive["--nodes"] = "--peak-headroom-ratio --ha --scenarios"
    elif given("--nodes") and load:
        exclusive["--nodes"] = "--calibrate-tpot-ms"  # medido num contexto, que falta
    for flag, others in exclusive.items():
        for other in others.split():
            if given(flag) and given(other):
                raise SizingError(flag, "não se combina com " + other)
    for flag in ("--explain", "--scenarios", "--calibrate-tpot-ms"):
        if given(flag) and several:
            raise SizingError(flag, "não aceita comparar: dê um só valor a " + several[0])
    if given("--sort") and not (several or given("--scenarios")):
        raise SizingError("--sort", "só tem efeito numa comparação: dê uma lista, como --server "
                          "dgx300,dgx200")


def calibration_of(args: argparse.Namespace) -> Optional[Tuple[float, int]]:
    """(ms, sessões) de --calibrate-tpot-ms. Levanta `SizingError`."""
    text = args.calibrate_tpot_ms
    if text is None:
        return None
    ms, _, sessions = text.partition("@")
    measured, count = exact_decimal(ms), exact_decimal(sessions)
    if not measured or not count or min(measured, count) < 0 or count.denominator > 1:
        raise SizingError("--calibrate-tpot-ms", "espera-se MS@SESSÕES, como 38.5@64: um número "
                          "positivo de milissegundos e um inteiro positivo de sessões", value=text)
    return float(measured), int(count)


def named(args: argparse.Namespace, kind: str, flag: str, default: str = "") -> List[Any]:
    """As entradas de um catálogo que uma flag nomeia; `all` são todas. Levanta `SizingError`."""
    entries = require_catalogue(args, kind)
    names = elements_of(args, flag) or [default]
    return [entry for name in names for entry in (
        entries if name.lower() == "all" else [find_entry(kind, flag, name, entries)])]


def questions_of(args: argparse.Namespace) -> Iterator[Tuple[Question, str]]:
    """(pergunta, cenário) de cada combinação das flags. Levanta `SizingError`."""
    check_combination(args)
    given = values_of(args)  # antes dos catálogos: uma flag errada vale mais
    calibration = calibration_of(args)
    models = [hf_model(args)[0]] if args.hf_config is not None else named(args, "models", "--model")
    servers = named(args, "servers", "--server")
    if args.storage is not None and "," in args.storage:
        raise SizingError("--storage", "não aceita comparar: dê um só", value=args.storage)
    storage = named(args, "storage", "--storage", DEFAULT_STORAGE)[0]
    loaded = "concurrency" in given or "requests_per_second" in given
    literal = args.nodes and loaded and "effective_context" in given
    scalars = {name: value for name, value in given.items() if name in
               Question.__dataclass_fields__ and flag_of(name) not in VARIED}
    scalars.setdefault("peak_headroom_ratio",
                       Fraction(0) if literal else DEFAULT_PEAK_HEADROOM_RATIO)
    if not loaded:
        scalars.setdefault("nodes", 1)
    for model in models:
        for server in servers:
            overhead = given.get("runtime_overhead_gib",
                                 DEFAULT_OVERHEAD_GIB_PER_GPU * server.gpus)
            bases = [Question(**dict(
                scalars, model=model, server=server, storage=storage, calibration=calibration,
                runtime_overhead_gib=overhead, kv_precision=precision,
                requested_context=context)) for context in given.get(
                    "effective_context", [0 if args.nodes and loaded
                                          else model.max_position_embeddings])
                for precision in given.get("kv_precision", [model.default_kv_precision])]
            for concurrency in given.get("concurrency", [0]):
                for base in bases:
                    for ha in given.get("ha", ["none"]):
                        q = base.under(concurrency=concurrency, ha_mode=ha)
                        yield from scenarios_of(q) if args.scenarios else [(q, "")]


def scenarios_of(q: Question) -> Iterator[Tuple[Question, str]]:
    """Os três cenários: sem folga; com o pico e n+1; e com 30%, n+2 e até 65% da HBM para KV."""
    yield q.under(peak_headroom_ratio=Fraction(0), ha_mode="none"), "mínimo"
    yield q.under(ha_mode="n+1"), "recomendado"
    yield replace(q, ha_mode="n+2", peak_headroom_ratio=max(
        q.peak_headroom_ratio, IDEAL_HEADROOM_RATIO), kv_budget_ratio=min(
            q.kv_budget_ratio, IDEAL_KV_BUDGET_RATIO)), "ideal"


def answered(args: argparse.Namespace, q: Question) -> SizingResult:
    """A resposta a uma pergunta. Levanta `SizingError`, também se uma flag não teve efeito."""
    if not q.request_fits:
        flag = "--output-tokens" if q.input_tokens is None else "--input-tokens"
        raise SizingError(flag, "com a saída de %d, não cabe no contexto de %s" % (
            q.output, plural(q.effective_context, "token", "tokens")),
            value=str(q.input_tokens or q.output))
    for flag in ("pue", "energy_price"):
        if getattr(args, flag) is not None and q.server.power_kw is None:
            raise SizingError(flag_of(flag), "sem efeito: falta power_kw no catálogo, em "
                              + q.server.name)
    result = size(q)
    for flag in ("input_tokens", "output_tokens"):
        if result.speed_gap and getattr(args, flag) is not None:
            raise SizingError(flag_of(flag), "sem efeito: não há velocidade prevista, "
                              + result.speed_gap)
    for flag in ("tensor_parallel", "gpu_memory_utilization", "weights_precision"):
        if result.layout is None and getattr(args, flag) not in (None, "auto"):
            raise SizingError(flag_of(flag), "sem efeito: o teto físico pede no catálogo "
                              + ", ".join(result.missing))
    return result


def compared(args: argparse.Namespace, questions: Sequence[Tuple[Question, str]]) -> List[Outcome]:
    """As linhas de uma comparação, em ordem. Levanta `SizingError` se nenhuma tem resposta."""
    rows: List[Outcome] = []
    for number, (q, label) in enumerate(questions, 1):
        try:
            rows.append((q, answered(args, q), label))
        except SizingError as error:
            rows.append((q, error, label))
        if number % 250 == 0 or number == len(questions) > 250:
            progress(number, len(questions))
    errors = [outcome for _, outcome, _ in rows if isinstance(outcome, SizingError)]
    if len(errors) == len(rows):
        first = next((item for item in errors if item.status == 3), errors[0])
        first.expected = "nenhuma das %d combinações tem resposta; esta: %s" % (
            len(rows), first.expected)
        raise first
    sort = args.sort and args.sort.lower()
    if sort:
        rows.sort(key=lambda row: rank(row[1], sort) if isinstance(row[1], SizingResult)
                  else ((2, 0),))
    return rows


def progress(done: int, total: int) -> None:
    """Na saída de erros, se ela é um terminal, quantas combinações já foram."""
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write("\r%d de %d%s" % (done, total, "\n" if done == total else ""))
        sys.stderr.flush()


def validation(args: argparse.Namespace) -> Tuple[Any, str, int]:
    """Verifica os três catálogos: (documento, texto, status)."""
    lines, problems = [], []
    for kind in CATALOGUES:
        entries, found = read_catalogue(args, kind)
        problems += found
        if not found:
            lines.append("%s: ok, %s" % (file_of(args, kind)[1],
                                         plural(len(entries), "entrada", "entradas")))
    lines = [str(problem) for problem in problems] or lines
    document = {"schema_version": 1, "problems": [str(problem) for problem in problems]}
    return document, "\n".join(lines) + "\n", 2 if problems else 0


def answer(args: argparse.Namespace, ascii_only: bool) -> Tuple[Union[str, Iterator[str]], int]:
    """(saída padrão, inteira ou aos pedaços; status) das flags. Levanta `SizingError`."""
    if args.help:
        return build_parser().format_help(), 0
    text, status = "", 0
    document: Any
    for action, beside in STANDALONE.items():
        if getattr(args, action) is not None:
            for name, value in vars(args).items():
                if value is not None and name not in (action, *beside.split()):
                    raise SizingError(flag_of(name), "não tem efeito com " + flag_of(action))
    if args.version:
        document, text = {"version": __version__}, "sizing.py %s\n" % __version__
    elif args.validate:
        document, text, status = validation(args)
    elif args.list is not None:
        kind = choice("--list", args.list, tuple(CATALOGUES))
        entries = require_catalogue(args, kind)
        document, text = [entry.document for entry in entries], catalogue_table(kind, entries)
    elif args.print_model:
        if args.hf_config is None:
            raise SizingError("--print-model", "precisa de --hf-config")
        _, document = hf_model(args)
    else:
        return sizing_text(args, ascii_only), 0
    if args.csv:
        text = csv_text(document if isinstance(document, list) else [document])
    elif args.json or args.print_model:
        text = json.dumps(document, ensure_ascii=ascii_only, indent=2) + "\n"
    return text, status


def sizing_text(args: argparse.Namespace, ascii_only: bool) -> Union[str, Iterator[str]]:
    """A resposta à pergunta das flags, na forma pedida. Levanta `SizingError`."""
    questions = list(questions_of(args))
    if len(questions) == 1:
        default_overhead = args.runtime_overhead_gib is None
        servers = require_catalogue(args, "servers")
        try:
            result = answered(args, questions[0][0])
        except SizingError as error:
            if error.status == 3:
                error.expected += ways_out(error, servers, default_overhead)
            raise
        if args.csv:
            return csv_text([json_document(result)])
        parts = explanation_of(result, servers, default_overhead) if args.explain else {}
        if not args.json:
            return explanation_text(result, parts) if parts else text_report(result)
        document = dict(json_document(result), **({"explanation": parts} if parts else {}))
        return json.dumps(document, ensure_ascii=ascii_only, indent=2) + "\n"
    rows = compared(args, questions)
    documents = (dict({"scenario": label} if label else {}, **(
        json_document(outcome) if isinstance(outcome, SizingResult) else refused_json(q, outcome)))
        for q, outcome, label in rows)
    if args.csv:
        return csv_text(documents)
    if args.json:  # uma combinação por linha
        return json_lines(documents, ascii_only)
    values: Dict[str, Any] = {flag: {VARIED[flag][1](q) for q, _, _ in rows} for flag in VARIED}
    varied = [flag for flag in VARIED if len(values[flag]) > 1 and not args.scenarios
              and not (flag == "--effective-context" and not questions[0][0].requested_context)]
    return comparison_text(rows, varied, args.sort and args.sort.lower())


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
