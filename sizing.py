#!/usr/bin/env python3
"""Dimensiona servidores NVIDIA para servir um LLM: quantos nós, por quê, a que velocidade.

    python3 sizing.py --model opt-oss-120b --server dgx300 --concurrency 1000

Fórmulas (n tokens, b bytes por elemento):

    contexto          o dado, ou cached_tokens + input_tokens + output_tokens
    KV de uma sessão  Σ grupos: camadas · 2 · kv_heads · head_dim · min(n, janela) · b
    orçamento de KV   total_hbm_gb · 10⁹ · kv_budget_ratio − runtime_overhead_gib · 2³⁰
    teto físico       1 + ⌊(blocos − 1 − reservados) / guardados⌋ por motor
    sessões por nó    S = ⌊(orçamento − prefixo comum) / KV de uma sessão⌋, até o teto
                      físico e os objetivos
    nós               ⌈concurrency · (1 + headroom) / S⌉ + reserva de HA
    TPOT              pesos + especialistas + KV + comunicação + partida + prefill dos outros;
                      com rascunhos, um passo destes gera --acceptance-length tokens
    TTFT              prefill de um prompt sozinho + os passos em que ele anda + a fila deles

TPOT e TTFT são da réplica mais cheia: ⌈concurrency / réplicas⌉ sessões no meio da geração.

Contas com ⌊ ⌋ ou ⌈ ⌉ são exatas: nenhum arredondamento compra ou deixa de comprar um servidor.

Glossário, com o sentido que cada palavra tem em todo o módulo:

    sessão      uma conversa em andamento, com até `effective_context` tokens de cache KV
    pedido      uma volta dela: tokens já em cache, novos e gerados; a soma é o contexto
    prefixo comum  os tokens iguais em todas as sessões: cada réplica os guarda uma vez
    mistura     sessões de vários comprimentos: admite-se o percentil 99 do KV total delas
    grupo       camadas do modelo que guardam o cache do mesmo jeito
    nó          um servidor: o que se compra e o que falha
    réplica     as GPUs que guardam uma cópia dos pesos e servem as mesmas sessões
    leiaute     como uma réplica divide o modelo entre as suas GPUs (tp, pp em etapas, dp)
    unidade     um nó, ou os vários nós de uma réplica
    bloco       em que o motor reparte o cache: guardado por quem gera, reservado por quem entra
    plano       as sessões da convenção de planejamento: uma parte da HBM, menos o overhead
    teto        as sessões que o motor mantém na memória que os pesos e ele mesmo deixam
    admitidas   o menor entre plano, teto e o que os objetivos de tempo dão: `sessions_per_unit`
    oferta      o que uma unidade de um leiaute admite, com a velocidade
    ponta       um extremo da carga: todo pedido com prompt novo, ou com o prefixo em cache
    confiança   onde se julgam os objetivos: na previsão, ou na ponta ruim da sua faixa de 80%
    pico        a carga nominal mais o headroom; a reserva de HA são nós além dele
    estado      em que se prevê: com todos os nós, depois da falha, depois da falha no pico

>>> hybrid = (group_of("full", 18, kv_heads=8, k_dim=64, v_dim=64),
...           group_of("sliding", 18, kv_heads=8, k_dim=64, v_dim=64, window=128))
>>> session_kv_bytes(hybrid, 131072, "fp8")
2418278400
>>> nodes_for(with_headroom(1500, Fraction("0.1")), sessions_per_unit=275, nodes_per_unit=1)
6

Primeiro o artigo, até `size`, que basta para refazer à mão qualquer resposta; depois os apêndices.
Cada seção usa o que está acima dela (menos os textos dos erros, com os outros) e diz, na primeira
linha, o que oferece às outras. Do catálogo carregado ao texto impresso só há funções puras (só
`in_order` guarda linhas num arquivo à parte).
"""
from __future__ import annotations

import os
import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Ctrl-C, já nos imports: status 130, em silêncio.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import argparse
import codecs
import copy
import dataclasses
import gc
import json
import re
import sys
from collections import ChainMap
from dataclasses import dataclass, fields, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from functools import cached_property, partial
from itertools import chain, count, groupby, islice, product
from math import inf, log, prod
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Sequence,
    Tuple,
    Union,
)

__version__ = "1.0"

Exact = Union[int, Fraction]
Json = Dict[str, Any]
Path = Tuple[Union[str, int], ...]  # até um valor, num documento JSON


# ── Unidades e números: GB, GIB, TIB; ceil_div (⌈ ⌉), largest (bisseção), rounded

GB, GIB, TIB = 10**9, 2**30, 2**40  # GB dos fabricantes; GiB dos drivers e dos motores


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
        if accepts(middle):
            low = middle
        else:
            limit = middle - 1
    return low


def rounded(value: Exact | float) -> float:
    """Nove algarismos significativos."""
    return float("%.9g" % value)


# ── Erros: SizingError, da pergunta ou do catálogo; NothingFits, da pergunta sem resposta

ABSENT: Any = object()  # distingue "sem valor" de null


class SizingError(Exception):
    """Pergunta ou catálogo errado: uma linha que diz onde, o que foi lido e o que se espera.

    `where` é a flag ou o arquivo; `path` e `line`, o lugar no documento; `value`, o que foi lido.
    """

    status = 2
    problems = 1  # quantos ela conta

    def __init__(self, where: str, expected: str, *, value: Any = ABSENT,
                 path: Path = (), line: int | None = None) -> None:
        self.where, self.expected, self.value = where, expected, value
        self.path, self.line = path, line

    def __str__(self) -> str:
        return error_text(self)


class NothingFits(SizingError):
    """Pergunta correta, mas sem resposta; guarda o que a mensagem da recusa precisa dizer.

    `short_of` diz o que falta: plan (o da melhor de `offers`), memory (em todos os `layouts`),
    weights (HBM para eles, sem dados para os leiautes), network (entre os nós de uma réplica),
    objectives (em todas as `offers`) ou nodes (a melhor oferta pede `nodes_needed`).
    """

    status = 3

    def __init__(self, question: Question, short_of: str, expected: str = "", *,
                 layouts: Sequence[Layout] = (), offers: Sequence[Offer] = (),
                 nodes_needed: int = 0) -> None:
        super().__init__("nada cabe", expected)
        self.question, self.short_of, self.nodes_needed = question, short_of, nodes_needed
        self.layouts, self.offers = layouts, offers


# ── Cache KV: Group e group_of, session_kv_bytes; sessions_fitting, as sessões que cabem

KV_PRECISIONS: dict[str, Exact] = {  # bytes por elemento
    "fp8": 1, "fp16": 2, "bf16": 2, "int8": 1, "nvfp4": Fraction(9, 16)}
RESERVED_STATES = 3  # de uma camada linear: o estado e os que o cache de prefixo guarda
SCALE_BYTES = {"int8": 4}  # a do motor, por cabeça de K e de V em cada token


@dataclass(frozen=True, eq=False)  # aqui e adiante, comparadas por identidade
class Group:
    """Camadas que guardam o cache do mesmo jeito; tokens e bytes, de uma sessão numa camada."""

    kind: str
    layers: int
    elements_per_token: int = 0
    bytes_per_token: int = 0  # de precisão própria
    fixed_bytes: int = 0
    cap_tokens: int | None = None
    stride: int = 1  # guarda-se um token em cada `stride`
    shards: int = 1  # GPUs em que o tensor parallel o divide, pelas cabeças
    pair_dims: int = 0  # números que uma consulta multiplica por chave e cabeça
    read_tokens: int | None = None  # os que uma consulta lê; None: todos
    align_tokens: int = 0  # múltiplo do bloco de quem divide a memória com um estado linear

    def held_tokens(self, context: int) -> int:
        return min(context, self.cap_tokens or context) // self.stride

    def token_bytes(self, element_bytes: Exact) -> int:
        return ceil_div(self.elements_per_token * element_bytes, 1) + self.bytes_per_token

    def session_bytes(self, context: int, element_bytes: Exact) -> int:
        held = self.held_tokens(context) * self.token_bytes(element_bytes)
        return self.layers * (held + self.fixed_bytes)

    def shared_bytes(self, prefix: int, element_bytes: Exact) -> int:
        """Bytes do prefixo que as sessões dividem; janelas não o guardam."""
        held = 0 if self.cap_tokens else self.held_tokens(prefix)
        return self.layers * held * self.token_bytes(element_bytes)

    def rank_bytes(self, kv_precision: str, tp: int, hopper: bool) -> int:
        """Bytes que o motor guarda em cada GPU do tp: de um token, ou o estado, numa camada."""
        if self.kind == "mla" and self.read_tokens and hopper and kv_precision == "fp8":
            # Esparsa em Hopper: o vetor em fp8, uma escala fp32 por 128 e o RoPE em 16 bits.
            rope = 2 * self.elements_per_token - self.pair_dims
            latent = self.elements_per_token - rope
            return latent + 4 * ceil_div(latent, 128) + 2 * rope
        total = self.token_bytes(KV_PRECISIONS[kv_precision]) + self.fixed_bytes
        if self.elements_per_token:
            total += 2 * self.shards * SCALE_BYTES.get(kv_precision, 0)
        return ceil_div(total, min(tp, self.shards))

    def session_blocks(self, context: int, block_tokens: int, draft_tokens: int,
                       in_flight_tokens: int) -> tuple[int, int]:
        """(os que uma sessão guarda ao gerar, os livres sem os quais o motor não a aceita)."""
        if self.fixed_bytes:
            return 1 + draft_tokens, RESERVED_STATES + draft_tokens
        whole = ceil_div(context, block_tokens)
        if self.cap_tokens is None:
            return whole, whole
        straddled = 0 if self.kind == "chunked" else 1  # a janela atravessa uma página a mais
        window = self.cap_tokens - straddled
        return (min(whole, ceil_div(window, block_tokens) + straddled),
                ceil_div(min(window + in_flight_tokens, context), block_tokens) + straddled)

    def read_bytes(self, context: int, element_bytes: Exact) -> int:
        """Bytes de um passo de decode de uma sessão; o estado fixo é lido e escrito."""
        read = min(context, self.read_tokens or context)
        return self.session_bytes(read, element_bytes) + self.layers * self.fixed_bytes

    def pairs(self, new_tokens: int, cached_tokens: int) -> float:
        """Pares consulta-chave numa camada: T²/2 + T · cache; numa janela W cheia, T · W.

        >>> group = group_of("sliding", 1, kv_heads=8, k_dim=64, v_dim=64, window=128)
        >>> group.pairs(1000, 0) == 1000 * 128 - 128**2 / 2
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


def heads_shape(kv_heads: int, k_dim: int, v_dim: int, window: int | None = None,
                chunk: int | None = None) -> Json:
    """K e V (`v_dim` 0: o próprio K) de todos os tokens, dos últimos `window` ou de um bloco."""
    return {"elements_per_token": kv_heads * (k_dim + v_dim), "cap_tokens": window or chunk,
            "shards": kv_heads, "pair_dims": k_dim + (v_dim or k_dim)}


def mla_shape(kv_lora_rank: int, qk_rope_head_dim: int) -> Json:
    """DeepSeek: um vetor latente por token para todas as cabeças, sem fator 2."""
    return {"elements_per_token": kv_lora_rank + qk_rope_head_dim,
            "pair_dims": 2 * kv_lora_rank + qk_rope_head_dim}


def indexer_shape(index_head_dim: int, ratio: int = 1) -> Json:
    """O indexador da DSA: chave fp8 e uma escala fp32 por bloco de 128."""
    return {"bytes_per_token": index_head_dim + 4 * ceil_div(index_head_dim, 128),
            "stride": ratio, "pair_dims": index_head_dim}


def compressed_shape(dim: int, ratio: int) -> Json:
    """DeepSeek V4: um vetor K = V a cada `ratio` tokens, sobre as camadas de janela."""
    return {"elements_per_token": dim, "stride": ratio, "pair_dims": 2 * dim}


def linear_shape(state_bytes: int, heads: int) -> Json:
    """Gated delta net: estado fixo (convolução e recorrência)."""
    return {"fixed_bytes": state_bytes, "shards": heads, "align_tokens": 64}


def mamba_shape(state_bytes: int, heads: int) -> Json:
    """Mamba e as outras recorrências: o mesmo, com blocos de outro múltiplo."""
    return {**linear_shape(state_bytes, heads), "align_tokens": 16}


def kda_shape(state_bytes: int, heads: int) -> Json:
    """Kimi delta attention."""
    return {**linear_shape(state_bytes, heads), "align_tokens": 128}


HEADS, STATE = ("kv_heads", "k_dim", "v_dim"), ("state_bytes", "heads")
# Tipo de grupo → (os campos que ele tem em `models.json`, a forma que eles dão ao cache).
KINDS: dict[str, tuple[tuple[str, ...], Callable[..., Json]]] = {
    "full": (HEADS, heads_shape),
    "sliding": ((*HEADS, "window"), heads_shape),
    "chunked": ((*HEADS, "chunk"), heads_shape),
    "mla": (("kv_lora_rank", "qk_rope_head_dim"), mla_shape),
    "indexer": (("index_head_dim",), indexer_shape),
    "compressed": (("dim", "ratio"), compressed_shape),
    "compressed_indexer": (("index_head_dim", "ratio"), indexer_shape),
    "linear": (STATE, linear_shape),
    "kda": (STATE, kda_shape),
    **dict.fromkeys(("mamba1", "mamba2", "parallel_mamba2", "lightning", "conv"),
                    (STATE, mamba_shape)),  # parallel: ao lado da atenção, na mesma camada
    "none": ((), dict)}  # só FFN, ou com o KV de outra camada
LATENT = ("mla", "compressed")  # um vetor para todas as cabeças, inteiro em cada GPU do tp


def group_of(kind: str, layers: int, **fields: int) -> Group:
    """O grupo de `layers` camadas deste tipo; `fields` são os de `KINDS`."""
    return Group(kind=kind, layers=layers, **KINDS[kind][1](**fields))


def listed_groups(groups: Sequence[Json], index_topk: int) -> tuple[Group, ...]:
    """Os de `models.json`; a atenção esparsa só lê os tokens que o indexador escolhe.

    A MiniMax M3 também a tem com cabeças de K e V, em tantas camadas quantas o indexador.
    """
    listed = [group_of(**group) for group in groups]
    indexed = {group.stride: group.layers for group in listed if "indexer" in group.kind}
    latent, result = any(group.kind in LATENT for group in listed), []
    for group in listed:
        sparse = indexed.get(group.stride, 0)
        chosen = index_topk * group.stride or None
        if sparse and group.kind in LATENT:
            result.append(replace(group, read_tokens=chosen))
        elif sparse and group.kind == "full" and not latent:
            whole = [replace(group, layers=group.layers - sparse)] if group.layers > sparse else []
            result += [*whole, replace(group, layers=sparse, read_tokens=chosen)]
        else:
            result.append(group)
    return tuple(result)


def session_kv_bytes(groups: Sequence[Group], context: int, kv_precision: str) -> int:
    """A conta do `kv_cache_interface.py` do vLLM, sem páginas.

    >>> window = group_of("sliding", 36, kv_heads=8, k_dim=64, v_dim=64, window=128)
    >>> session_kv_bytes([window], 64, "fp16")
    4718592
    """
    element_bytes = KV_PRECISIONS[kv_precision]
    return sum([group.session_bytes(context, element_bytes) for group in groups])


Sizes = Tuple[Tuple[int, Exact], ...]  # (bytes de uma sessão, parte das sessões), crescentes


def mean_bytes(sizes: Sizes) -> Exact:
    return sum([size * share for size, share in sizes])


NORMAL_99 = Fraction(2326, 1000)  # desvios-padrão até o percentil 99


def total_fits(sessions: int, room_bytes: Exact, sizes: Sizes) -> bool:
    """O percentil 99 do total de `sessions` sessões cabe em `room_bytes`; exato se há um tamanho.

    De vários tamanhos, sorteados um a um, é o da normal com a assimetria (Cornish-Fisher):
    n·μ + z·σ·√n + (z² − 1)/6 · m₃/σ², até n vezes o maior.
    """
    most = sessions * sizes[-1][0]
    if most <= room_bytes or len(sizes) == 1:
        return most <= room_bytes
    mean = mean_bytes(sizes)
    variance, third = (sum([(size - mean)**power * share for size, share in sizes])
                       for power in (2, 3))
    skewed = (NORMAL_99**2 - 1) / 6 * max(third, 0) / (variance or 1)
    room = room_bytes - sessions * mean - skewed
    return room >= 0 and room**2 >= NORMAL_99**2 * variance * sessions


def sessions_fitting(room_bytes: Exact, sizes: Sizes) -> int:
    """As sessões que cabem; nenhuma, se não cabe a maior.

    >>> sessions_fitting(1000, ((10, Fraction(1)),))
    100
    >>> sessions_fitting(1000, ((5, Fraction(1, 2)), (15, Fraction(1, 2))))
    89
    """
    most = max(0, room_bytes.numerator // (room_bytes.denominator * sizes[-1][0]))
    if len(sizes) == 1 or not most:
        return most
    limit = room_bytes // mean_bytes(sizes)
    return largest(limit, lambda sessions: total_fits(sessions, room_bytes, sizes), most)


# ── Modelo, servidor e storage: Model, Server, Storage, as entradas dos catálogos


@dataclass(frozen=True, eq=False)
class Model:
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
    attention_pattern: str  # full, sliding, hybrid ou groups
    notes: Any  # um texto ou uma lista deles
    source: Any
    default_kv_precision: str = "fp8"
    hybrid_full_layers: int | None = None
    hybrid_sliding_layers: int | None = None
    sliding_window: int | None = None
    groups: tuple[Json, ...] | None = None
    aliases: tuple[str, ...] = ()
    overrides: str | None = None  # o arquivo dado em que tomou um nome das de fábrica
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
    native_precision: str | None = None
    checkpoint_bytes: int | None = None
    weights_dense_bytes: int | None = None
    weights_expert_bytes: int | None = None
    weights_replicated_bytes: int | None = None
    # As camadas que rascunham: groups, dense_bytes, expert_bytes e, se são um EAGLE3, hf_id.
    mtp: Json | None = None
    weights_source: str | None = None  # safetensors, index, counted ou flag; None: o catálogo
    assumed: str | None = None  # o que a conta do config.json supôs ou deixou de fora
    multimodal: bool = False
    bidirectional_images: bool = False  # a atenção vê cada imagem inteira (Gemma 3 e 4)
    replicates_kv_heads: bool = True  # com mais GPUs de tp que cabeças de KV
    launch_args: str | None = None

    @cached_property
    def kv_groups(self) -> tuple[Group, ...]:
        if self.groups is not None:
            return listed_groups(self.groups, self.index_topk or 0)
        heads = dict(zip(HEADS, (self.num_key_value_heads, self.head_dim, self.head_dim)))
        full = group_of("full", self.hybrid_full_layers or self.num_layers, **heads)
        sliding = group_of("sliding", self.hybrid_sliding_layers or self.num_layers,
                           window=self.sliding_window or 0, **heads)
        groups = {"full": (full,), "sliding": (sliding,), "hybrid": (full, sliding)}
        return groups[self.attention_pattern]

    @cached_property
    def latent(self) -> bool:
        return any(group.kind in LATENT for group in self.kv_groups)

    @cached_property
    def compressed(self) -> bool:
        return any(group.kind == "compressed" for group in self.kv_groups)

    @cached_property
    def indexer_layers(self) -> int:
        return sum(group.layers for group in self.kv_groups if "indexer" in group.kind)


@dataclass(frozen=True, eq=False)
class Server:
    """Um servidor (nó): HBM do folheto e a que o motor vê; banda e TFLOPS densos por GPU."""

    name: str
    gpus: int
    hbm_per_gpu_gb: Exact
    total_hbm_gb: Exact
    notes: Any
    source: Any
    product: str | None = None
    gpu: str | None = None
    compute_capability: Exact | None = None  # da CUDA: 9.0 é Hopper; 10.0 e 10.3, Blackwell
    hbm_usable_gib_per_gpu: Exact | None = None
    hbm_bandwidth_tbps: Exact | None = None
    tflops_bf16: Exact | None = None
    tflops_fp8: Exact | None = None
    tflops_fp4: Exact | None = None
    nvlink_bandwidth_tbps: Exact | None = None  # de todas as GPUs, nos dois sentidos
    nvlink_domain_gpus: int | None = None
    pcie_bandwidth_gbps: Exact | None = None  # GB/s de uma GPU, num sentido
    network_gbps_per_gpu: Exact | None = None  # GB/s da rede entre nós, num sentido
    system_memory_tb: Exact | None = None
    power_kw: Exact | None = None
    rack_units: int | None = None
    heat_btu_h: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    speed_measured: bool = False  # há medidas de velocidade com esta GPU
    aliases: tuple[str, ...] = ()
    overrides: str | None = None

    @cached_property
    def generation(self) -> int:
        return int(self.compute_capability or 0)

    def nvlink_reaches(self, gpus: int) -> bool:
        return bool(self.nvlink_bandwidth_tbps) and gpus <= (self.nvlink_domain_gpus or self.gpus)


@dataclass(frozen=True, eq=False)
class Storage:
    """Um perfil; `throughput_*_gbps` em GB/s. Só a leitura conta: uma carga lê em sequência."""

    name: str
    type: str  # local, network ou cloud
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
    scope: str | None = None  # node ou shared
    aliases: tuple[str, ...] = ()
    overrides: str | None = None

    @property
    def shared(self) -> bool:  # entre os nós
        return (self.scope or self.type) not in ("node", "local")


# ── A pergunta: Question, o pedido e os padrões; o KV dela, de uma sessão ao orçamento de um nó

HA_SPARES = {"none": 0, "n+1": 1, "n+2": 2}

# Convenção de planejamento: 70% da HBM para KV, menos 15 GiB por GPU (120 num nó de 8) para pesos,
# ativações e contexto CUDA.
DEFAULT_KV_BUDGET_RATIO, DEFAULT_PEAK_HEADROOM_RATIO = Fraction(7, 10), Fraction(2, 10)
DEFAULT_OVERHEAD_GIB_PER_GPU = 15
DEFAULT_GPU_MEMORY_UTILIZATION = Fraction(9, 10)  # o vLLM 0.33 passou a usar 0.92
DEFAULT_MAX_NUM_BATCHED_TOKENS = 8192
DEFAULT_OUTPUT_TOKENS = TURN_TOKENS = 1024
DEFAULT_PUE = Fraction(13, 10)
EVEN, CONFIDENT = Fraction(1, 2), Fraction(9, 10)  # objetivos na previsão, ou na ponta ruim dela
# Tokens que um passo gera com 0, 1, 2… rascunhados: o do modelo e os que ele aceita. A curva é a
# mediana de DeepSeek V4 Pro, Qwen3.5, GLM-5.2, MiniMax M3 e Kimi K2.5 no SPEED-Bench (código, no
# vLLM, InferenceX golden_al_distribution), com 85% dos aceitos: é o que explica o TPOT de 257
# execuções com rascunho (K = 2 e 3) junto das mesmas sem ele. Varia com o modelo e com o texto: se
# K = 3, de 2.1 a 3.5.
ACCEPTANCE_LENGTHS = tuple([Fraction(hundredths, 100) for hundredths in (
    100, 170, 220, 260, 290, 310, 320, 330, 335)])


@dataclass(frozen=True, eq=False)
class EngineLog:
    """O que um início do `vllm serve` escreveu de cada GPU; None é uma linha que ele não tem."""

    file: str
    model: str
    version: str
    start: int  # de `starts` no arquivo, o último que chegou ao KV
    starts: int
    kv_capacity_bytes: int  # da GPU que tem menos; arredondado pelo motor a 0.01 GiB
    flags: tuple[str, ...] = ()  # as que ele diz
    data_parallel: int | None = None
    gpu_bytes: int | None = None  # toda a memória que o driver mostra
    weights_bytes: int | None = None
    cuda_graphs_bytes: int | None = None
    max_model_len: int | None = None
    kv_tokens: int | None = None
    max_concurrency: Fraction | None = None


@dataclass(frozen=True, eq=False)
class Question:
    """As entradas dos catálogos, a carga e as escolhas de planejamento.

    `requested_*` é o que se pediu; a propriedade sem o prefixo é o valor em uso.
    """

    model: Model
    server: Server
    storage: Storage
    kv_precision: str
    requested_context: int | None = None  # tokens por sessão; None: o maior que couber
    concurrency: int | None = None  # None: a de requests_per_second, ou a maior que couber
    requested_runtime_overhead_gib: Exact | None = None  # por nó; None: 15 por GPU
    kv_budget_ratio: Fraction = DEFAULT_KV_BUDGET_RATIO
    peak_headroom_ratio: Fraction = DEFAULT_PEAK_HEADROOM_RATIO
    ha_mode: str = "none"
    gpu_memory_utilization: Fraction = DEFAULT_GPU_MEMORY_UTILIZATION
    tensor_parallel: int | None = None  # None: o leiaute que compra menos nós
    pipeline_parallel: int | None = None
    requested_max_num_seqs: int | None = None  # None: as sessões da réplica
    requested_max_num_batched_tokens: int | None = None  # None: o padrão do motor na GPU
    speculative_tokens: int = 0  # rascunhados por passo, pelas camadas MTP do modelo
    requested_acceptance_length: Fraction | None = None  # tokens por passo; None: o padrão de K
    requested_weights_precision: str | None = None  # None: a do checkpoint
    input_tokens: int | None = None  # novos, por pedido; None: as duas pontas da carga
    requested_cached_tokens: int | None = None  # já em cache, por pedido; None: o resto
    requested_output_tokens: int | None = None
    max_tpot_ms: float | None = None
    min_tokens_per_second: float | None = None
    max_ttft_ms: float | None = None
    max_ttft_p95_ms: float | None = None
    confidence: Fraction = EVEN
    shared_prefix_tokens: int = 0  # que todas as sessões dividem
    context_mix: tuple[tuple[int, Fraction], ...] = ()  # (tokens, parte das sessões), crescente
    requests_per_second: Fraction | None = None
    nodes: int | None = None  # None: quantos forem precisos
    calibration: tuple[float, int] | None = None  # TPOT medido: (ms, sessões na réplica)
    engine_log: EngineLog | None = None  # com o tp e o pp dele
    pue: Fraction = DEFAULT_PUE
    node_price: Exact | None = None
    energy_price: Exact | None = None  # por kWh
    years: Exact | None = None
    disaggregated: str = "no"  # prefill e decode em nós separados: yes; auto, se compra menos

    @property
    def asks(self) -> str:
        """O que se quer saber: nodes, sessions, context ou load (se a carga cabe nos nós)."""
        if self.concurrency is None and self.requests_per_second is None:
            return "sessions"
        if self.nodes is None:
            return "nodes"
        return "context" if self.context_source == "model" else "load"

    @property
    def timed(self) -> bool:
        """A velocidade entra na conta dos nós."""
        return bool(self.time_limits_ms) or self.requests_per_second is not None

    @property
    def has_measurement(self) -> bool:
        """Há uma medida, que só vale neste servidor e neste leiaute."""
        return bool(self.calibration or self.engine_log)

    @property
    def tpot_limit_ms(self) -> float | None:
        """O mais apertado dos objetivos de geração, em ms por token."""
        rate = self.min_tokens_per_second
        limits = [self.max_tpot_ms, rate and 1000 / rate]
        return min((limit for limit in limits if limit is not None), default=None)

    @cached_property
    def time_limits_ms(self) -> dict[str, float]:
        """Os objetivos de tempo dados, por tempo, na ordem em que limitam."""
        limits = {"tpot": self.tpot_limit_ms, "ttft": self.max_ttft_ms,
                  "ttft_p95": self.max_ttft_p95_ms}
        return {time: limit for time, limit in limits.items() if limit is not None}

    @property
    def ha_spares(self) -> int:
        return HA_SPARES[self.ha_mode]

    @property
    def max_num_batched_tokens(self) -> int:
        return (self.requested_max_num_batched_tokens or self.server.max_num_batched_tokens
                or DEFAULT_MAX_NUM_BATCHED_TOKENS)

    @property
    def mtp(self) -> Json:
        """As camadas que rascunham, se há especulação."""
        return self.model.mtp or {} if self.speculative_tokens else {}

    @property
    def acceptance_length(self) -> Fraction | None:
        """Tokens que um passo gera, se há especulação; None também se K não tem padrão."""
        drafts, asked = self.speculative_tokens, self.requested_acceptance_length
        if not drafts or asked is not None:
            return asked
        return ACCEPTANCE_LENGTHS[drafts] if drafts < len(ACCEPTANCE_LENGTHS) else None

    @cached_property
    def runtime_overhead_gib(self) -> Exact:
        asked = self.requested_runtime_overhead_gib
        return DEFAULT_OVERHEAD_GIB_PER_GPU * self.server.gpus if asked is None else asked

    @cached_property
    def usable_bytes(self) -> int:
        """Os de cada GPU que o motor pode usar."""
        return self.gpu_memory_utilization * (self.server.hbm_usable_gib_per_gpu or 0) * GIB // 1

    @cached_property
    def element_bytes(self) -> Exact:
        return KV_PRECISIONS[self.kv_precision]

    @property
    def weights_precision(self) -> str:
        return self.requested_weights_precision or self.model.native_precision or "bf16"

    @property
    def converted(self) -> bool:
        """Os pesos não ficam na precisão do checkpoint."""
        return self.requested_weights_precision not in (None, self.model.native_precision)

    @property
    def context_source(self) -> str:
        """De onde vem o contexto: flag, request (a soma do pedido) ou model (o máximo dele)."""
        if self.requested_context or self.context_mix:
            return "flag"
        request = {self.input_tokens, self.requested_cached_tokens} != {None}
        return "request" if request else "model"

    @property
    def kept_tokens(self) -> int:
        """Os que o pedido diz estarem em cache: os dele, ou o prefixo comum."""
        return self.requested_cached_tokens or self.shared_prefix_tokens

    @cached_property
    def effective_context(self) -> int:
        """Da sessão mais longa."""
        if self.context_mix:
            return self.context_mix[-1][0]
        if self.context_source == "request":
            return self.kept_tokens + (self.input_tokens or TURN_TOKENS) + self.output_tokens
        limit = self.model.max_position_embeddings
        return min(self.requested_context or limit, limit)

    @cached_property
    def lengths(self) -> tuple[tuple[int, Exact], ...]:
        """(tokens, parte das sessões), da mais curta à mais longa."""
        return self.context_mix or ((self.effective_context, 1),)

    @cached_property
    def output_tokens(self) -> int:
        if self.context_source == "request":
            most = self.kept_tokens + (self.input_tokens or TURN_TOKENS)
        else:
            most = self.lengths[0][0] // 2
        return self.requested_output_tokens or max(1, min(DEFAULT_OUTPUT_TOKENS, most))

    @property
    def prompt_tokens(self) -> int:
        return self.effective_context - self.output_tokens

    def new_tokens(self, end: int, context: int) -> int:
        """Por pedido de uma sessão de `context` tokens, numa ponta da carga."""
        if self.input_tokens is not None:
            return self.input_tokens
        new = context - self.output_tokens - self.kept_tokens
        return min(new, TURN_TOKENS) if end else new

    @property
    def request_fits(self) -> bool:
        """O pedido cabe no contexto, com ao menos um token novo (se há mais de um), e o soma."""
        shortest = self.lengths[0][0]
        new = self.new_tokens(0, shortest)
        cached = shortest - self.output_tokens - new
        return (self.effective_context <= self.model.max_position_embeddings
                and new >= (1 if shortest > 1 else 0) and cached >= self.shared_prefix_tokens
                and self.requested_cached_tokens in (None, cached))

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """As pontas da carga, em tokens novos por pedido; a primeira é a dos objetivos."""
        new = self.new_tokens(0, self.effective_context)  # todo novo, ou só uma volta de conversa
        stated = {self.input_tokens, self.requested_cached_tokens} != {None}
        return (new,) if stated or new <= TURN_TOKENS else (new, TURN_TOKENS)


def kv_per_session_bytes(q: Question) -> int:
    """Da mais longa, com o prefixo comum."""
    return session_kv_bytes(q.model.kv_groups, q.effective_context, q.kv_precision)


def shared_prefix_bytes(q: Question) -> int:
    """Do prefixo comum, que cada réplica guarda uma vez."""
    return sum([group.shared_bytes(q.shared_prefix_tokens, q.element_bytes)
                for group in q.model.kv_groups])


def own_kv_sizes(q: Question) -> Sizes:
    """O que cada sessão guarda só para si."""
    shared = shared_prefix_bytes(q)
    return tuple([(session_kv_bytes(q.model.kv_groups, context, q.kv_precision) - shared, share)
                  for context, share in q.lengths])


def kv_total_bytes(q: Question, sessions: int, copies: int) -> int:
    """De `sessions` sessões, com tantas cópias do prefixo comum."""
    own = ceil_div(sessions * mean_bytes(own_kv_sizes(q)), 1)
    return own + copies * shared_prefix_bytes(q)


def kv_budget_bytes(q: Question) -> Exact:
    """De um nó; negativo se o overhead passa da fatia da HBM."""
    return q.server.total_hbm_gb * GB * q.kv_budget_ratio - q.runtime_overhead_gib * GIB


def plan_sessions_of(q: Question, nodes: int, prefix_copies: int) -> int:
    """As da convenção de planejamento numa unidade, que não ganha do arredondamento de um nó."""
    budget, shared, sizes = kv_budget_bytes(q), shared_prefix_bytes(q), own_kv_sizes(q)
    node = sessions_fitting(budget - ceil_div(prefix_copies, nodes) * shared, sizes)
    return nodes * node or sessions_fitting(nodes * budget - prefix_copies * shared, sizes)


# ── Blocos: Blocks e blocks_of, o que uma sessão guarda e reserva no cache paginado do vLLM 0.33

# A DeepSeek V4: blocos de 256 tokens, páginas múltiplas de 576 B; os estados do compressor são
# janelas em blocos próprios, (tokens da janela, tokens do bloco) por razão de compressão.
COMPRESSED_BLOCK_TOKENS, COMPRESSED_WINDOW_BLOCK_TOKENS, COMPRESSED_PAGE_BYTES = 256, 64, 576
COMPRESSED_EXTRA_BYTES = 72  # por entrada: 64 dos números em 16 bits e 8 de escalas
COMPRESSOR_STATES = {4: (8, 4), 128: (128, 8)}
HOPPER, BLACKWELL = 9, 10  # gerações com kernels próprios de atenção latente


@dataclass(frozen=True, eq=False)
class BlockGroup:
    """Camadas que dividem uma tabela de blocos; os blocos de todos os grupos têm os mesmos bytes.

    `padding_layers` é o que lhes falta para a largura do maior grupo, e se paga.
    """

    group: Group
    layers: int
    block_tokens: int
    padding_layers: int = 0


@dataclass(frozen=True, eq=False)
class Blocks:
    """Os blocos do cache numa GPU: a regra do escalonador do vLLM 0.33, com cache de prefixo."""

    block_bytes: int
    block_tokens: int | None  # None: só há estados lineares
    groups: tuple[BlockGroup, ...]
    draft_tokens: int
    in_flight_tokens: int

    def of_session(self, context: int) -> tuple[int, int]:
        """(os que ela guarda ao gerar, os livres sem os quais o motor não a aceita)."""
        held, reserved = zip(*[item.group.session_blocks(
            context, item.block_tokens, self.draft_tokens, self.in_flight_tokens)
            for item in self.groups])
        return sum(held), sum(reserved)

    def shared(self, prefix: int) -> int:
        """Os cheios do prefixo comum, nas camadas que guardam todos os tokens."""
        return sum([prefix // item.block_tokens for item in self.groups
                    if not item.group.cap_tokens and not item.group.fixed_bytes])


def kernel_block_tokens(q: Question) -> int:
    """O do kernel de atenção que o vLLM escolhe para o modelo, o KV e a GPU."""
    fp8_on_hopper = q.server.generation == HOPPER and q.kv_precision == "fp8"
    on_blackwell = q.server.generation == BLACKWELL
    if q.model.indexer_layers:
        return 64
    if q.model.latent and on_blackwell:
        return 32
    wide = q.model.latent or any(group.pair_dims > 512 for group in q.model.kv_groups)
    bidirectional = on_blackwell and q.model.bidirectional_images
    return 64 if bidirectional or (wide and fp8_on_hopper) else 16


def blocks_of(q: Question, tp: int, pp: int = 1) -> Blocks:
    """Os blocos de cada GPU da maior etapa, com as camadas que rascunham."""
    drafts = listed_groups(q.mtp.get("groups", ()), q.model.index_topk or 0)
    groups = [group for group in (*q.model.kv_groups, *drafts) if group.kind != "none"]
    if q.model.compressed:
        parts, block, block_bytes = compressed_parts(groups, pp)
    else:
        hopper = q.server.generation == HOPPER
        sized = [(group, group.rank_bytes(q.kv_precision, tp, hopper)) for group in groups]
        block = attention_block_tokens(q, sized)
        parts, block_bytes = page_parts(sized, block, pp)
    # Um lote em cada etapa e outro já escalonado.
    return Blocks(block_bytes, block, tuple(parts), q.speculative_tokens,
                  (pp + 1) * q.max_num_batched_tokens)


SizedGroups = Sequence[Tuple[Group, int]]  # com os bytes de um token ou do estado, numa GPU


def attention_block_tokens(q: Question, sized: SizedGroups) -> int:
    """O do kernel; ao lado de estados lineares, o menor em que cabe um deles."""
    states = [size for group, size in sized if group.fixed_bytes]
    tokens = [size for group, size in sized if not group.fixed_bytes]
    if not states or not tokens:
        return kernel_block_tokens(q)
    align = 128 if q.model.latent else max([group.align_tokens for group, _ in sized])
    return align * ceil_div(max(states), align * max(tokens))


def page_parts(sized: SizedGroups, block: int, pp: int) -> tuple[list[BlockGroup], int]:
    """Os grupos do motor e os bytes do bloco deles, que é o mesmo em todos."""
    buckets: dict[Any, tuple[Group, int, int]] = {}
    for group, size in sized:
        spec = group.cap_tokens, group.kind == "chunked", group.fixed_bytes, size
        page = size if group.fixed_bytes else block * size
        layers = buckets[spec][2] if spec in buckets else 0
        buckets[spec] = group, page, layers + group.layers
    if len({spec[:2] for spec in buckets}) == 1 and not any(spec[2] for spec in buckets):
        # As camadas guardam os mesmos tokens: um grupo só, com as páginas lado a lado.
        group, layers = sized[0][0], sum([group.layers for group, _ in sized])
        return [BlockGroup(group, layers, block)], sum([
            ceil_div(count, pp) * page for _, page, count in buckets.values()])
    # Baldes de camadas iguais, cortados em grupos da mesma largura e com páginas iguais.
    counts = [layers for _, _, layers in buckets.values()]
    few, many, page_bytes = min(counts), max(counts), max([page for _, page, _ in buckets.values()])
    width, parts = many if 2 * many < 3 * few else few, []
    widest = max([ceil_div(layers, ceil_div(layers, width)) for layers in counts])
    for group, page, layers in buckets.values():
        # A página menor leva mais tokens, se assim iguala a maior; senão, é completada.
        times = 1 if group.fixed_bytes or page_bytes % page else page_bytes // page
        parts += split_layers(group, layers, ceil_div(layers, width), block * times, widest)
    return parts, ceil_div(widest, pp) * page_bytes


def split_layers(group: Group, layers: int, count: int, block_tokens: int, widest: int = 0
                 ) -> list[BlockGroup]:
    """Em `count` grupos, tão iguais quanto possível, completados até `widest` camadas."""
    sizes = [(layers + index) // count for index in range(count)]
    return [BlockGroup(group, size, block_tokens, max(0, widest - size)) for size in sizes]


def compressed_parts(groups: Sequence[Group], pp: int) -> tuple[list[BlockGroup], int, int]:
    """Os da DeepSeek V4, com o bloco e os seus bytes; o tensor parallel não divide nada."""
    def page_bytes(group: Group, block: int) -> int:
        entry = group.bytes_per_token or group.elements_per_token + COMPRESSED_EXTRA_BYTES
        unit = COMPRESSED_PAGE_BYTES
        return ceil_div(group.layers, pp) * ceil_div(
            block // group.stride * entry, unit) * unit

    def layers_of(some: Iterable[Group]) -> int:
        return sum([group.layers for group in some])

    block, window_block = COMPRESSED_BLOCK_TOKENS, COMPRESSED_WINDOW_BLOCK_TOKENS
    whole = [group for group in groups if "compressed" in group.kind]
    windows = [group for group in groups if group.cap_tokens]
    block_bytes = sum([page_bytes(group, block) for group in whole])
    count = ceil_div(sum([page_bytes(group, window_block) for group in windows]), block_bytes)
    parts = [BlockGroup(whole[0], layers_of(whole), block)]
    if windows:
        parts += split_layers(windows[0], layers_of(windows), count, window_block)
    for ratio in sorted({group.stride for group in whole}):
        window, state_block = COMPRESSOR_STATES.get(ratio, (ratio, 8))
        layers = layers_of(group for group in whole if group.stride == ratio)
        state = Group("compressor_state", layers, cap_tokens=window)
        parts.append(BlockGroup(state, layers, state_block))
    return parts, block, block_bytes


# ── Pesos, leiautes e o teto: missing_for_ceiling, weight_bytes, Layout e layout_of

# Bits por parâmetro, com as escalas: (especialistas, ou camadas lineares de um denso; o resto).
WEIGHT_BITS: dict[str, tuple[Exact, Exact]] = {
    "bf16": (16, 16), "fp16": (16, 16), "fp8": (8, 8), "int8": (8, 8),
    "mxfp4": (Fraction(17, 4), 16), "nvfp4": (Fraction(9, 2), 16), "int4": (Fraction(33, 8), 16)}

# O que o motor ocupa em cada GPU além de pesos e KV, ajustado a registros; erro no README.
ENGINE = "vLLM 0.33"
SAMPLER_COPIES_PERCENT = 366  # 3.66 cópias fp32 de [max_num_seqs, vocab]
NON_TORCH_BYTES, NON_TORCH_PARALLEL_BYTES = GIB // 4, GIB  # contexto CUDA; com NCCL
CUBLAS_BYTES = GIB // 32
ENCODER_BYTES = GIB * 15 // 100  # imagens de teste de um modelo multimodal
INDEXER_TOKEN_BYTES = 8 * 132  # por token de prefill que a atenção esparsa (DSA) junta
STREAM_BYTES = 108  # por token e dimensão, dos 4 fluxos residuais do DeepSeek V4
GRAPHS_BYTES = GIB // 4
GRAPH_LAYER_BYTES = 90 << 10  # de um grafo numa camada; a MoE custa mais
GRAPH_MOE_BYTES, GRAPH_WIDE_MOE_BYTES = 30 << 10, 200 << 10  # com MLA ou linear, a segunda
MAX_NODES_PER_REPLICA = 8
GPU_TOLERANCE = Fraction(2, 100)  # entre a memória que um log e o catálogo dizem de uma GPU


def lacking(entry: Any, fields: str) -> list[str]:
    """Os campos que o catálogo não traz."""
    return [name for name in fields.split() if getattr(entry, name) is None]


def kv_precisions_of(model: Model, server: Server) -> list[str]:
    """As que o motor serve: a DeepSeek V4 só em fp8; int8 e nvfp4, onde há cabeças de K e V."""
    if model.compressed:
        return ["fp8"]
    refused = {"int8": model.latent, "nvfp4": model.latent or not server.tflops_fp4}
    return [precision for precision in KV_PRECISIONS if not refused.get(precision)]


def require_served(q: Question) -> None:
    """Levanta `SizingError` se o motor não aceita as escolhas feitas para ele."""
    served, tokens = kv_precisions_of(q.model, q.server), q.max_num_batched_tokens
    if q.kv_precision not in served:
        raise refusal(q, "--kv-precision", q.kv_precision, served)
    if q.speculative_tokens and not q.model.mtp:
        raise refusal(q, "--speculative-tokens", q.speculative_tokens)
    drafts, accepted = q.speculative_tokens, q.acceptance_length
    if drafts and not 1 <= (accepted or 0) <= drafts + 1:
        asked = q.requested_acceptance_length
        raise refusal(q, "--acceptance-length", ABSENT if asked is None else float(asked),
                      [drafts + 1])
    if (q.requested_max_num_seqs or 0) > tokens:
        raise refusal(q, "--max-num-seqs", q.requested_max_num_seqs, [tokens])


def require_log(q: Question) -> None:
    """Levanta `SizingError` se o log do motor não pode ser deste leiaute e deste servidor."""
    log, gpus = q.engine_log, q.server.gpus
    if not log:
        return
    wide = q.model.latent and q.model.num_experts and (
        q.tensor_parallel == q.pipeline_parallel == 1 < gpus)
    ways = [1, *(gpus * nodes for nodes in range(1, MAX_NODES_PER_REPLICA + 1) if wide)]
    if (log.data_parallel or 1) not in ways or (wide and not log.data_parallel):
        raise log_refusal(q, log, "data_parallel", ways)
    visible = Fraction(q.server.hbm_usable_gib_per_gpu or 0) * GIB
    if abs((log.gpu_bytes or visible) - visible) > GPU_TOLERANCE * visible:
        raise log_refusal(q, log, "gpu")
    if (log.weights_bytes or 0) + log.kv_capacity_bytes > q.usable_bytes:
        raise log_refusal(q, log, "memory")


def missing_for_ceiling(q: Question) -> list[str]:
    """Os campos que faltam para saber o que o motor admite."""
    moe = q.model.num_experts or q.model.weights_expert_bytes
    fields = "vocab_size hidden_size num_attention_heads"
    if q.converted:
        # Sem eles, o que fica em 16 bits contaria como convertido: pesos de menos.
        fields += " params_total params_embedding"
        fields += " params_experts" if moe else ""
    else:
        fields += " weights_dense_bytes"
    if moe:
        fields += " num_experts experts_per_token moe_intermediate_size weights_expert_bytes"
    kernel = q.model.latent or q.model.bidirectional_images  # escolhido pela geração da GPU
    server_fields = "hbm_usable_gib_per_gpu" + (" compute_capability" if kernel else "")
    return lacking(q.model, fields) + lacking(q.server, server_fields)


def weight_bytes(q: Question) -> tuple[int, int]:
    """(densos, dos especialistas roteados): os do checkpoint, ou pelos parâmetros."""
    model = q.model
    if not q.converted:
        return model.weights_dense_bytes or 0, model.weights_expert_bytes or 0
    experts, embedding = model.params_experts or 0, model.params_embedding or 0
    expert_bits, dense_bits = WEIGHT_BITS[q.weights_precision]
    if not experts:
        dense_bits = expert_bits
    linear = (model.params_total or 0) - experts - embedding
    return (2 * embedding + ceil_div(linear * dense_bits, 8), ceil_div(experts * expert_bits, 8))


def quantized_on_load(q: Question) -> bool:
    """O motor lê o checkpoint de 16 bits e o converte ao carregar."""
    return q.weights_precision == "fp8" and q.model.native_precision in ("bf16", "fp16")


def checkpoint_bytes(q: Question) -> int:
    """O que um nó lê ao iniciar; 0 se o catálogo não diz."""
    dense, experts = q.model.weights_dense_bytes, q.model.weights_expert_bytes or 0
    if q.converted and not quantized_on_load(q):
        return sum(weight_bytes(q))
    return q.model.checkpoint_bytes or (dense + experts if dense else 0)


def least_weights_bytes(q: Question) -> int:
    """O que se sabe dos pesos de uma réplica sem os dados do teto; 0 se nada."""
    return max(sum(weight_bytes(q)), 0 if q.converted else checkpoint_bytes(q))


def expert_padding(q: Question, tp: int, dp: int) -> Exact:
    """Bytes com e sem o arredondamento dos kernels MXFP4, que é por GPU do tp, na largura."""
    if q.weights_precision != "mxfp4" or not weight_bytes(q)[1]:
        return 1
    hidden, width = q.model.hidden_size or 1, q.model.moe_intermediate_size or 1
    tile = 128 if dp > 1 else 128 * tp
    padded = ceil_div(width, tile) * tile
    padded *= hidden if q.server.generation == HOPPER else ceil_div(hidden, 256) * 256
    return Fraction(padded, hidden * width)


def end_bytes(q: Question) -> tuple[int, int]:
    """(embeddings, da primeira etapa; cabeça, da última), ainda que sejam a mesma tabela."""
    head = 2 * (q.model.hidden_size or 0) * (q.model.vocab_size or 0)
    both = 2 * (q.model.params_embedding or 0) or 2 * head
    return both - head if both >= 2 * head else both, head


def weight_parts(q: Question, tp: int, dp: int, pp: int) -> dict[str, Exact]:
    """Bytes da maior etapa; cada GPU repete as projeções de entrada da MLA e a tabela do RoPE."""
    (dense, experts), layers = weight_bytes(q), q.model.num_layers
    replicated = min(dense, q.model.weights_replicated_bytes or 0)
    if pp > 1:  # as camadas se dividem; cada ponta fica com a sua tabela
        stage, ends = ceil_div(layers, pp), end_bytes(q)
        dense = ceil_div(max(0, dense - sum(ends)) * stage, layers) + max(ends)
        replicated = ceil_div(replicated * stage, layers)
        moe_layers = q.model.moe_layers or layers
        experts = ceil_div(experts * min(stage, moe_layers), moe_layers)
    return {"dense_bytes": dense + q.mtp.get("dense_bytes", 0),
            "expert_bytes": experts + q.mtp.get("expert_bytes", 0),
            "expert_padding": expert_padding(q, tp, dp), "replicated_bytes": replicated,
            "rope_bytes": 2 * q.model.max_position_embeddings * q.model.head_dim}


def weights_per_gpu(q: Question, tp: int, dp: int, pp: int = 1) -> int:
    """Bytes: tp divide as camadas densas; tp · dp, os especialistas; pp, as camadas."""
    parts = weight_parts(q, tp, dp, pp)
    replicated = parts["replicated_bytes"]
    experts = ceil_div(parts["expert_bytes"] * parts["expert_padding"], tp * dp)
    dense = ceil_div(parts["dense_bytes"] - replicated, tp)
    return int(dense + replicated + parts["rope_bytes"] + experts)


def moe_bytes(q: Question, tp: int) -> int:
    """As duas saídas dos especialistas de um lote; os kernels fundidos não as guardam."""
    model, hidden, fused = q.model, q.model.hidden_size or 0, q.server.generation == BLACKWELL
    if not model.num_experts or fused or q.weights_precision == "mxfp4":
        return 0
    width = ceil_div(model.moe_intermediate_size or 0, tp)
    rows = q.max_num_batched_tokens * (model.experts_per_token or 0)
    return 2 * rows * (max(width, hidden) + max(2 * width, hidden))


def conversion_bytes(q: Question, tp: int, dp: int) -> int:
    """O que a troca de leiaute dos pesos MXFP4 prende em Hopper: 5/3 de uma camada."""
    on_hopper = q.weights_precision == "mxfp4" and q.server.generation == HOPPER
    if not on_hopper or q.model.compressed:
        return 0
    layers = 3 * (q.model.moe_layers or q.model.num_layers)
    return ceil_div(5 * weight_bytes(q)[1], layers * tp * dp)


def indexer_bytes(q: Question) -> int:
    """O que a DSA junta no prefill: 5 contextos (2, dos maiores que 256 Ki), um token em cada
    `stride`."""
    strides = [group.stride for group in q.model.kv_groups if "indexer" in group.kind]
    tokens = max(5 * min(q.effective_context, 1 << 18), 2 * q.effective_context)
    return INDEXER_TOKEN_BYTES * ceil_div(tokens, min(strides)) if strides else 0


def activation_parts(q: Question, tp: int, dp: int) -> dict[str, int]:
    """Bytes em cada GPU; `logits_bytes`, as cópias do amostrador, são de cada sequência."""
    model, tokens, hidden = q.model, q.max_num_batched_tokens, q.model.hidden_size or 0
    ffn = ceil_div(3 * (model.intermediate_size or 0), tp) + 3 * hidden
    return {
        "batch_bytes": 2 * tokens * hidden, "ffn_bytes": 2 * tokens * ffn,
        "logits_bytes": ceil_div(4 * (model.vocab_size or 0) * SAMPLER_COPIES_PERCENT, 100),
        "moe_bytes": moe_bytes(q, tp), "indexer_bytes": indexer_bytes(q),
        "conversion_bytes": conversion_bytes(q, tp, dp),
        "encoder_bytes": ENCODER_BYTES if model.multimodal else 0,
        "stream_bytes": STREAM_BYTES * tokens * hidden if model.compressed else 0}


def activation_bytes(parts: Mapping[str, int], sequences: int) -> int:
    """Não vivem juntos o amostrador e o FFN; e a área de MoE serve também ao indexador."""
    sampler = parts["batch_bytes"] + sequences * parts["logits_bytes"]
    return (max(sampler, parts["ffn_bytes"]) + max(parts["moe_bytes"], parts["indexer_bytes"])
            + parts["conversion_bytes"] + parts["encoder_bytes"] + parts["stream_bytes"]
            + CUBLAS_BYTES)


def graph_bytes(q: Question, pp: int) -> int:
    """De um grafo CUDA, nas camadas da maior etapa."""
    model, moe_layers = q.model, 0
    if model.num_experts:
        moe_layers = model.moe_layers or model.num_layers
    wide = model.latent or "linear" in [group.kind for group in model.kv_groups]
    moe_layer = GRAPH_WIDE_MOE_BYTES if wide else GRAPH_MOE_BYTES
    return (ceil_div(model.num_layers, pp) * GRAPH_LAYER_BYTES
            + ceil_div(moe_layers, pp) * moe_layer)


def batch_sizes(most: int) -> int:
    """Os lotes que viram grafos: 1, 2, 4, de 8 em 8 até 248 e de 16 em 16 até `most`."""
    if most < 256:
        return min(most, 2) + (most > 3) + most // 8
    return 34 + (most - 240) // 16


def graphs_captured(server: Server, sequences: int) -> int:
    """De lotes com prefill, até o dobro das sequências, e de geração, até elas."""
    most = 1024 if server.generation == BLACKWELL else 512
    return batch_sizes(min(2 * sequences, most)) + batch_sizes(min(sequences, most))


@dataclass(frozen=True, eq=False)
class Replica:
    """Uma réplica e o seu leiaute, antes de qualquer sessão; bytes por GPU."""

    tensor_parallel: int
    pipeline_parallel: int  # > 1: cada etapa, de tp GPUs, com uma parte das camadas
    data_parallel: int  # > 1: cada GPU com as suas sessões, os especialistas espalhados por todas
    nodes_per_unit: int
    replicas_per_unit: int
    usable_bytes: int
    weights_bytes: int
    non_torch_bytes: int  # contexto CUDA e NCCL

    @property
    def replica_gpus(self) -> int:
        return self.tensor_parallel * self.pipeline_parallel * self.data_parallel

    @property
    def stage_gpus(self) -> int:
        """As que trabalham juntas nas mesmas camadas."""
        return self.tensor_parallel * self.data_parallel

    @property
    def measured(self) -> bool:
        """Há medidas de velocidade de leiautes assim."""
        return self.pipeline_parallel == self.nodes_per_unit == 1

    def __str__(self) -> str:
        tp, pp, dp = self.tensor_parallel, self.pipeline_parallel, self.data_parallel
        if pp > 1:
            return "tp %d pp %d" % (tp, pp)
        return "dp %d" % dp if dp > 1 else "tp %d" % tp


@dataclass(frozen=True, eq=False)
class Layout(Replica):
    """Um leiaute completo: as sessões que cabem na réplica, num contexto e numa precisão do KV."""

    activation_bytes: int
    cuda_graphs_bytes: int
    kv_capacity_bytes: int  # negativo se nem os pesos cabem
    blocks: Blocks
    held_sizes: Sizes  # em blocos, do KV só de cada sessão
    shared_blocks: int  # do prefixo comum
    reserved_blocks: int  # pela sessão mais longa, para entrar
    max_num_seqs: int  # por motor: a réplica, ou um rank de data parallel
    sessions_held: int  # as que o motor mantém juntas nesta memória
    sessions_per_replica: int

    @property
    def runtime_bytes(self) -> int:
        """Ativações, CUDA e grafos; ou, com o log do motor, o que ele não deu a pesos e KV."""
        return self.usable_bytes - self.weights_bytes - self.kv_capacity_bytes

    @property
    def session_bytes_per_gpu(self) -> int:
        """Da sessão mais longa, com o prefixo comum."""
        return (self.held_sizes[-1][0] + self.shared_blocks) * self.blocks.block_bytes

    @property
    def kv_blocks(self) -> int:
        """Os de cada GPU; um deles, o nulo, nunca se usa."""
        return max(0, self.kv_capacity_bytes // self.blocks.block_bytes)

    @property
    def sessions_logged(self) -> Fraction:
        """A "maximum concurrency" que o motor escreve no log: todas ainda por entrar."""
        return Fraction(self.kv_blocks, self.reserved_blocks)

    def capped(self, q: Question) -> bool:
        """A memória manteria mais sessões do que as sequências, ou os tokens do passo, pedidos."""
        most = q.requested_max_num_seqs or q.requested_max_num_batched_tokens or 0
        return self.max_num_seqs == most < self.sessions_held

    @property
    def ceiling_sessions(self) -> int:
        """O teto físico de uma unidade."""
        return self.sessions_per_replica * self.replicas_per_unit


def sessions_held_in(kv_blocks: int, reserved_blocks: int, held_sizes: Sizes) -> int:
    """1 + ⌊(B − 1 − R) / D⌋: a última ainda precisa da reserva inteira; senão, o motor não inicia.

    >>> sessions_held_in(182044, 9225, ((8201, 1),))
    22
    """
    free = kv_blocks - 1 - reserved_blocks
    return 1 + sessions_fitting(free, held_sizes) if free >= 0 else 0


def tensor_parallel_ways(q: Question, gpus: int) -> list[int]:
    """Os tp possíveis: dividem as cabeças; e as de KV, ou as repetem um número inteiro de vezes."""
    heads, copies = q.model.num_attention_heads or 0, q.model.replicates_kv_heads
    return [tp for tp in range(1, gpus + 1) if heads % tp == 0 and all(
        group.shards % tp == 0 or (copies and tp % group.shards == 0)
        for group in q.model.kv_groups)]


def replica_of(q: Question, tp: int, pp: int, dp: int, nodes: int) -> Replica:
    gpus, server = tp * pp * dp, q.server
    logged_bytes = q.engine_log.weights_bytes if q.engine_log else None
    return Replica(
        tensor_parallel=tp, pipeline_parallel=pp, data_parallel=dp, nodes_per_unit=nodes,
        replicas_per_unit=nodes * server.gpus // gpus,
        usable_bytes=q.usable_bytes,
        weights_bytes=logged_bytes or weights_per_gpu(q, tp, dp, pp),
        non_torch_bytes=NON_TORCH_PARALLEL_BYTES if gpus > 1 else NON_TORCH_BYTES)


def replicas_in_a_node(q: Question) -> list[Replica]:
    """Sem pipeline. Levanta `SizingError` se o tp pedido não serve."""
    gpus, asked = q.server.gpus, q.tensor_parallel
    ways = tensor_parallel_ways(q, gpus)
    if asked and asked not in ways:
        raise refusal(q, "--tensor-parallel", asked, ways)
    if (q.pipeline_parallel or 1) > 1:
        return []
    pairs = [(tp, 1) for tp in ways if asked in (None, tp)]
    if q.model.latent and q.model.num_experts and gpus > 1 and asked in (None, 1):
        pairs.append((1, gpus))  # a atenção latente não se divide: cada GPU com as suas sessões
    return [replica_of(q, tp, 1, dp, 1) for tp, dp in pairs]


def staged_replicas(q: Question, nodes: int) -> list[Replica]:
    """Com as camadas em etapas: o tp dentro de um nó; elas, no resto dele e nos outros nós.

    As camadas MTP ficam todas na última etapa, o que o motor não serve bem: sem especulação.
    """
    gpus, node_gpus = nodes * q.server.gpus, q.server.gpus
    ways = [tp for tp in tensor_parallel_ways(q, node_gpus)
            if node_gpus % tp == 0 and q.tensor_parallel in (None, tp)]
    pairs = [(tp, pp) for tp in ways
             for pp in (range(2, gpus // tp + 1) if nodes == 1 else [gpus // tp])
             if gpus // tp % pp == 0 and 1 < pp <= q.model.num_layers
             and q.pipeline_parallel in (None, pp) and not q.speculative_tokens]
    return [replica_of(q, tp, pp, 1, nodes) for tp, pp in pairs]


def spread_replicas(q: Question, nodes: int) -> list[Replica]:
    """Em vários nós: com uma etapa em cada, ou as GPUs de todos com as suas sessões."""
    replicas, asked = staged_replicas(q, nodes), {q.tensor_parallel, q.pipeline_parallel}
    if q.model.latent and q.model.num_experts and asked <= {None, 1}:
        replicas.append(replica_of(q, 1, 1, nodes * q.server.gpus, nodes))
    return replicas


def layout_of(q: Question, replica: Replica) -> Layout:
    """As sessões que o motor mantém numa réplica, com o prefixo comum.

    Sem --max-num-seqs, é o maior que se sustenta: cada sequência pede amostrador e grafos, e gera
    ao menos um dos tokens do passo, se o limite deles foi pedido.
    """
    tp, pp, dp = replica.tensor_parallel, replica.pipeline_parallel, replica.data_parallel
    blocks, activations = blocks_of(q, tp, pp), activation_parts(q, tp, dp)
    each, graph = [blocks.of_session(context) for context, _ in q.lengths], graph_bytes(q, pp)
    shared, reserved = blocks.shared(q.shared_prefix_tokens), each[-1][1]
    sizes = tuple([(held - shared, share) for (held, _), (_, share) in zip(each, q.lengths)])
    room = replica.usable_bytes - replica.weights_bytes - replica.non_torch_bytes
    logged_bytes = q.engine_log.kv_capacity_bytes if q.engine_log else 0

    def runtime(sequences: int) -> tuple[int, int]:
        graphs = GRAPHS_BYTES + graphs_captured(q.server, sequences) * graph
        return activation_bytes(activations, sequences), graphs

    def held(sequences: int) -> int:
        pool = logged_bytes or room - sum(runtime(sequences))
        return sessions_held_in(pool // blocks.block_bytes, reserved, sizes)

    sequences = q.requested_max_num_seqs or 1
    sessions = held(sequences)
    if sessions > sequences and q.requested_max_num_seqs is None:
        most = min(sessions, q.requested_max_num_batched_tokens or sessions)
        least = min(most, held(most))
        sequences = largest(min(most, held(least)), lambda n: held(n) >= n, least)
        sessions = held(sequences)
    activation, graphs = runtime(sequences)
    return Layout(
        activation_bytes=activation, cuda_graphs_bytes=graphs,
        kv_capacity_bytes=logged_bytes or room - activation - graphs, blocks=blocks,
        held_sizes=sizes, shared_blocks=shared, reserved_blocks=reserved,
        max_num_seqs=sequences, sessions_held=sessions,
        sessions_per_replica=min(sequences, sessions) * dp, **vars(replica))


def engine_sequences(q: Question) -> int:
    """O --max-num-seqs do motor, o dado ou o padrão do vLLM nesta GPU."""
    small = (q.server.max_num_batched_tokens or 0) <= 2048
    return q.requested_max_num_seqs or min(256 if small else 1024, q.max_num_batched_tokens)


def unlogged_layout(q: Question, layout: Layout, log: EngineLog) -> Layout:
    """O mesmo leiaute previsto sem o log, no comprimento dele e com as sequências do motor."""
    plain = replace(q, engine_log=None, requested_context=log.max_model_len or q.effective_context,
                    context_mix=(), requested_cached_tokens=None, shared_prefix_tokens=0,
                    requested_max_num_seqs=engine_sequences(q))
    return layout_of(plain, replica_of(
        plain, layout.tensor_parallel, layout.pipeline_parallel, layout.data_parallel,
        layout.nodes_per_unit))


# ── Velocidade: missing_for_speed, speed_of e performance_of

# A parte do pico que um motor alcança (MBU da banda da HBM, MFU dos TFLOPS densos) e os custos
# fixos, ajustados a metade, sorteada por configuração, de umas 2200 medidas públicas (InferenceX
# até julho de 2026 e TensorRT-LLM) e conferidos na outra metade; erro no README.
WEIGHTS_MBU, EXPERTS_MBU, KV_MBU, INDEXER_MBU = 0.88, 0.96, 0.71, 0.16
DECODE_MFU, ATTENTION_MFU = 0.88, 0.78
PREFILL_MFU = {"bf16": 0.75, "fp8": 0.62, "fp4": 0.38}  # das camadas densas
# Dos especialistas, em (decode, prefill): poucas linhas em cada um. Pesos de 4 bits sem tensor
# cores de 4 bits são convertidos a 16 a cada uso; os int4, sempre, por kernels mais lentos.
EXPERTS_MFU = {"bf16": (0.13, 0.20), "fp8": (0.13, 0.099), "fp4": (0.13, 0.30),
               "fp4 em 16 bits": (0.13, 0.19), "int4": (0.046, 0.13)}
DECODE_COPIES, PREFILL_COPIES = 28, 4  # idas à HBM do que um token leva a cada especialista
INDEXER_MFU = 0.042  # do prefill do indexador, que cada GPU do tp repete inteiro
LAYER_SECONDS = 51e-6  # por camada e passo: partida dos kernels, normas
MOE_LAYER_SECONDS, FUSED_MOE_LAYER_SECONDS = 48e-6, 8e-6  # a mais numa MoE; a de 4 bits é fundida
# A mais, por camada: atenção latente, esparsa (indexador), linear; a da DeepSeek V4, com quatro
# fluxos residuais e compressor; e as escalas por 32 números do MXFP8.
MLA_LAYER_SECONDS, INDEXER_LAYER_SECONDS, LINEAR_LAYER_SECONDS = 17e-6, 24e-6, 9e-6
COMPRESSED_LAYER_SECONDS, MXFP8_LAYER_SECONDS = 120e-6, 35e-6
RESIDUAL_STREAMS = 4  # da DeepSeek V4
LOCKSTEP = 1.55  # com data parallel, a GPU mais lenta faz as outras esperarem em cada camada
ALL_REDUCE_SECONDS = 5e-6  # latência; são dois por camada
NETWORK_SECONDS = 30e-6  # a de uma troca entre nós ou de uma etapa à outra; sem medidas
DECODE_LINK_RATIO, PREFILL_LINK_RATIO = 0.37, 0.52  # da banda do enlace, num sentido
REQUEST_SECONDS = 2.5e-3  # de cada pedido que entra, além do prefill
# Por camada de um prompt sozinho: partida dos kernels sem grafos CUDA, tokenizador e servidor; de
# metade, sorteada por configuração, das medidas do vLLM com menos de 50% do tempo em prefill.
PREFILL_LAYER_SECONDS = 700e-6
# Medido / previsto em 80% das medidas.
TPOT_RANGE, TPOT_MOE_RANGE, TPOT_CALIBRATED_RANGE = (0.83, 1.24), (0.82, 1.27), (0.86, 1.14)
TPOT_DATA_PARALLEL_RANGE, TPOT_DRAFTED_RANGE = (0.65, 1.45), (0.80, 1.37)
TPOT_UNMEASURED_RANGE = (0.5, 2.0)  # de etapas ou vários nós: sem medidas, larga
THROUGHPUT_RANGE = (0.76, 1.19)
APART_THROUGHPUT_RANGE = (0.61, 1.83)  # em 849 medidas de prefill e decode separados
# Tempo até o 1º token → (a parte dos pedidos que o passa, medido / previsto em 80% das medidas).
FIRST_TOKENS = {"ttft": (0.50, (0.76, 2.6)), "ttft_p95": (0.05, (0.74, 2.8))}
# A maior utilização da fila de prefills em que se prevê a espera: daí em diante 1% a mais de
# sessões a alonga em mais de 10%, e a carga não se conhece tão bem.
QUEUE_UTILIZATION = 0.90
QUEUE_SESSIONS = 2**40  # até onde se procura a carga em que a fila não se prevê mais


def missing_for_speed(q: Question) -> list[str]:
    """Os campos que faltam para prever a velocidade."""
    model, server = q.model, q.server
    fields, server_fields = "params_total params_embedding", "hbm_bandwidth_tbps tflops_bf16"
    if model.num_experts:
        fields += " params_experts moe_layers"
    if any(group.kind == "mla" for group in model.kv_groups):
        fields += " qk_nope_head_dim v_head_dim"
    if model.indexer_layers:
        fields += " index_n_heads index_topk"
    if server.gpus > 1 and not server.nvlink_reaches(server.gpus):
        server_fields += " pcie_bandwidth_gbps"
    return lacking(model, fields) + lacking(server, server_fields)


def tensor_peak(server: Server, precision: str) -> tuple[float, float]:
    """(FLOP/s densos, parte alcançada no prefill) na precisão em que a GPU calcula estes pesos."""
    mxfp4 = "fp8" if server.tflops_fp4 else "bf16"
    unit = {"mxfp4": mxfp4, "nvfp4": "fp4"}.get(precision, precision)
    peak = {"fp4": server.tflops_fp4, "fp8": server.tflops_fp8}.get(unit)
    if peak is None:
        unit, peak = "bf16", server.tflops_bf16 or 0
    return float(peak) * 1e12, PREFILL_MFU[unit]


def experts_kernel(q: Question) -> str:
    """Como a GPU calcula os especialistas, em `EXPERTS_MFU`."""
    if q.weights_precision in ("int4", "int8"):
        return "int4"
    if q.weights_precision in ("mxfp4", "nvfp4"):
        return "fp4" if q.server.tflops_fp4 else "fp4 em 16 bits"
    return "fp8" if q.weights_precision == "fp8" and q.server.tflops_fp8 else "bf16"


def mxfp8(q: Question) -> bool:
    """Especialistas com uma escala por 32 números: 8.25 bits por parâmetro, e não 8."""
    experts = weight_bytes(q)[1]
    return q.weights_precision == "fp8" and 5 * 8 * experts > 41 * (q.model.params_experts or 0)


def sublayers(model: Model) -> int:
    """Atenções mais FFNs."""
    alone = sum(group.layers for group in model.kv_groups if group.kind == "none")
    if alone == model.moe_layers:  # Nemotron-H: as outras só têm atenção
        return model.num_layers
    return 2 * model.num_layers - alone


def attention_flops(model: Model, new: int, cached: int) -> float:
    """FLOPs dos pares consulta-chave e dos estados lineares no prefill de `new` tokens.

    MLA na forma expandida; a esparsa, na absorvida, só com os `index_topk` tokens escolhidos.
    """
    total = 0.0
    for group in model.kv_groups:
        if "indexer" in group.kind:
            continue
        heads, dims = float(model.num_attention_heads or 0), group.pair_dims
        if group.kind == "mla" and group.read_tokens is None:
            rope = 2 * group.elements_per_token - group.pair_dims
            dims = (model.qk_nope_head_dim or 0) + rope + (model.v_head_dim or 0)
        pairs = heads * dims * group.pairs(new, cached)
        total += 2 * group.layers * (pairs + group.fixed_bytes * new)
    return total


def indexer_flops(model: Model, new: int, cached: int) -> float:
    """Os do indexador, que vê todos os tokens; em fp8: contam por metade."""
    heads = model.index_n_heads or 0
    return sum([group.layers * heads * group.pair_dims * group.pairs(new, cached)
                for group in model.kv_groups if "indexer" in group.kind])


def dense_precision(q: Question, linear_params: int, linear_bytes: int) -> str:
    """A precisão das camadas densas: num MoE pode não ser a dos especialistas; os bytes a dizem."""
    precision = q.weights_precision
    if not q.model.params_experts or precision in ("int4", "int8"):
        return precision
    if linear_bytes < 0.75 * linear_params:
        return precision
    return "fp8" if linear_bytes < 1.5 * linear_params else "bf16"


def link_bandwidth(server: Server, gpus: int, nodes: int) -> float:
    """Bytes por segundo de cada GPU às outras, num sentido."""
    if nodes > 1:
        return float(server.network_gbps_per_gpu or 0) * GB or 1
    if server.nvlink_reaches(gpus):
        return float(server.nvlink_bandwidth_tbps or 0) * 1e12 / server.gpus / 2 or 1
    return float(server.pcie_bandwidth_gbps or 0) * GB or 1


def absorbed_flops(model: Model, context: int) -> float:
    """FLOPs da atenção latente de uma sessão num passo de decode, na forma absorvida."""
    heads = model.num_attention_heads or 0
    return sum([2 * heads * group.pair_dims * group.layers
                * min(context, group.read_tokens or context) / group.stride
                for group in model.kv_groups if group.kind in LATENT])


def launch_seconds(q: Question, layers: float, data_parallel: int) -> float:
    """A partida dos kernels de um passo, pelas camadas de cada tipo."""
    model = q.model
    fused = experts_kernel(q) == "fp4"
    moe = (FUSED_MOE_LAYER_SECONDS if fused else MOE_LAYER_SECONDS) + mxfp8(q) * MXFP8_LAYER_SECONDS
    total = layers * LAYER_SECONDS + (model.moe_layers or 0) * moe
    if model.compressed:
        total += layers * COMPRESSED_LAYER_SECONDS
    else:
        total += model.indexer_layers * INDEXER_LAYER_SECONDS
    for group in model.kv_groups:
        total += group.layers * (LINEAR_LAYER_SECONDS if group.fixed_bytes else
                                 MLA_LAYER_SECONDS * (group.kind == "mla"))
    return total * (LOCKSTEP if data_parallel > 1 else 1)


def session_terms(q: Question, layout: Layout, end: int) -> dict[str, float]:
    """As grandezas do KV e da atenção, com a sessão no meio da geração; `mean_*`, entre elas."""
    model, terms = q.model, dict.fromkeys((
        "mean_input_tokens", "kv_read_bytes", "indexer_read_bytes", "absorbed_flops",
        "mean_attention_flops", "mean_indexer_flops"), 0.0)
    for context, share in q.lengths:  # a última é a mais longa
        new, middle, part = q.new_tokens(end, context), context - q.output_tokens // 2, float(share)
        cached = context - q.output_tokens - new
        terms["attention_flops"] = attention_flops(model, new, cached)
        terms["indexer_flops"] = indexer_flops(model, new, cached)
        terms["mean_input_tokens"] += part * new
        terms["mean_attention_flops"] += part * terms["attention_flops"]
        terms["mean_indexer_flops"] += part * terms["indexer_flops"]
        terms["absorbed_flops"] += part * absorbed_flops(model, middle) * (
            q.speculative_tokens + 1)
        for group in model.kv_groups:
            read = group.read_bytes(middle, q.element_bytes) / min(
                layout.tensor_parallel, group.shards)
            name = "indexer_read_bytes" if "indexer" in group.kind else "kv_read_bytes"
            terms[name] += part * float(read)
    return terms


def draft_terms(q: Question, layout: Layout, terms: dict[str, float]) -> dict[str, float]:
    """O que uma camada que rascunha tem, sobre o do modelo, se há especulação."""
    if not q.mtp:
        return {}
    groups, tp = listed_groups(q.mtp["groups"], q.model.index_topk or 0), layout.tensor_parallel
    layers = max([group.layers for group in groups])  # cada passada usa uma
    kv_read = sum([float(share) * group.read_bytes(context - q.output_tokens // 2, q.element_bytes)
                   / min(tp, group.shards)
                   for context, share in q.lengths for group in groups]) / layers
    gpu_read = q.mtp["dense_bytes"] / layers / tp + 2 * terms["gpu_head_params"]
    return {"draft_weights_ratio": gpu_read / (terms["gpu_read_bytes"] or 1),
            "draft_experts_ratio": q.mtp["expert_bytes"] / layers / (terms["expert_bytes"] or 1),
            "draft_kv_ratio": kv_read / (
                terms["kv_read_bytes"] + terms["indexer_read_bytes"] or 1),
            "draft_layers_ratio": 1 / q.model.num_layers}


def speed_terms(q: Question, layout: Layout, end: int) -> dict[str, float]:
    """As grandezas das fórmulas; `gpu_*`, o que cada GPU do tp lê ou calcula das camadas densas."""
    model, server, (dense_bytes, expert_bytes) = q.model, q.server, weight_bytes(q)
    nodes, tp = layout.nodes_per_unit, layout.tensor_parallel
    stage_nodes = nodes if layout.stage_gpus > server.gpus else 1
    embedding, experts = model.params_embedding or 0, model.params_experts or 0
    linear = (model.params_total or 0) - embedding - experts
    linear_bytes = max(0, dense_bytes - 2 * embedding)
    head = (model.hidden_size or 0) * (model.vocab_size or 0)
    read = linear_bytes + 2 * head
    repeated = min(1.0, (model.weights_replicated_bytes or 0) / (read or 1))
    gpu_ratio = repeated + (1 - repeated) / tp
    layers = sublayers(model) / 2
    dense_peak, dense_mfu = tensor_peak(server, dense_precision(q, linear, linear_bytes))
    experts_mfu = EXPERTS_MFU[experts_kernel(q)]
    terms = {
        **session_terms(q, layout, end), "input_tokens": q.ends[end],
        "gpu_read_bytes": read * gpu_ratio, "gpu_linear_params": linear * gpu_ratio,
        "gpu_head_params": head / tp, "expert_params": experts, "expert_bytes": expert_bytes,
        "layers": layers, "launch_seconds": launch_seconds(q, layers, layout.data_parallel),
        "dispatched_bytes": 2 * (model.moe_layers or 0) * (model.experts_per_token or 0) * (
            model.hidden_size or 0) * (RESIDUAL_STREAMS if model.compressed else 1),
        "touched_ratio": (model.experts_per_token or 0) / (model.num_experts or 1),
        "hbm_bandwidth": float(server.hbm_bandwidth_tbps or 0) * 1e12,
        "link_bandwidth": link_bandwidth(server, layout.stage_gpus, stage_nodes),
        "hop_bandwidth": link_bandwidth(server, layout.replica_gpus, nodes),
        "wait_seconds": NETWORK_SECONDS if stage_nodes > 1 else ALL_REDUCE_SECONDS,
        # Na rede, cada GPU só leva os tokens das suas sessões; no nó, o ajuste conta todos.
        "senders": layout.data_parallel if stage_nodes > 1 else 1,
        "bf16_flops": float(server.tflops_bf16 or 0) * 1e12, "dense_flops": dense_peak,
        "expert_flops": tensor_peak(server, q.weights_precision)[0],
        "dense_prefill_mfu": dense_mfu, "experts_decode_mfu": experts_mfu[0],
        "experts_prefill_mfu": experts_mfu[1], "replica_gpus": layout.replica_gpus,
        "stage_gpus": layout.stage_gpus, "stages": layout.pipeline_parallel,
        # Lotes de prefill em que um prompt sozinho se corta; as etapas os fazem em fila.
        "chunks": max(1, ceil_div(q.ends[end], q.max_num_batched_tokens)),
        "batched_tokens": q.max_num_batched_tokens}
    terms.update(draft_terms(q, layout, terms))
    return terms


Parts = Dict[str, Tuple[float, float]]  # parcela → (s por passo, se lê tudo; s por sequência)


@dataclass(frozen=True, eq=False)
class Speed:
    """Os tempos de uma réplica numa ponta da carga; `sessions` são as da réplica inteira."""

    input_tokens: int  # novos, por pedido
    output_tokens: int
    terms: dict[str, float]  # as grandezas das fórmulas, de `speed_terms`
    parts: Parts
    step_tokens: int  # de cada sequência num passo: o do modelo e os rascunhados, que ele confere
    acceptance_length: float  # os que o passo gera
    draft_experts_seconds: float  # ler todos os especialistas das camadas que rascunham
    data_parallel: int
    stages: int
    prefill_seconds: float  # de um pedido entre os outros, em média
    prefill_spread: float  # E[S²] / E[S]² desses prefills: 1 se todos os pedidos são iguais
    alone_seconds: float  # do prompt mais longo numa réplica ociosa
    scale: float  # viés medido e calibração, sobre todas as parcelas do TPOT
    tpot_range: tuple[float, float]  # medido / previsto em 80% das medidas
    confident: bool  # julga-se pela ponta ruim: a pedido, ou por não haver medidas

    @cached_property
    def step_seconds(self) -> tuple[float, float]:
        """A soma das parcelas: (por passo, por sequência)."""
        fixed, each = zip(*self.parts.values())
        return sum(fixed), sum(each)

    @cached_property
    def margins(self) -> dict[str, float]:
        """Fatores sobre cada tempo, de onde se julga: a ponta ruim da faixa, ou 1."""
        if not self.confident:
            return dict.fromkeys(("tpot", *FIRST_TOKENS, "latency"), 1.0)
        return {"tpot": self.tpot_range[1], "latency": 1 / self.throughput_range[0],
                **{time: ratios[1] for time, (_, ratios) in FIRST_TOKENS.items()}}

    @property
    def throughput_range(self) -> tuple[float, float]:
        low, high = self.tpot_range
        return THROUGHPUT_RANGE if (low, high) != TPOT_UNMEASURED_RANGE else (1 / high, 1 / low)

    def rows(self, sessions: int) -> float:
        """Sequências de um passo numa GPU: as etapas se revezam entre lotes."""
        rows = sessions / (self.data_parallel * self.stages)
        return rows if rows > 1 else 1.0

    def untouched_ratio(self, sessions: int) -> float:
        """Dos especialistas, os que nenhum toca se cada sequência leva um token."""
        missed: float = (1 - self.terms["touched_ratio"])**(sessions / self.stages)
        return missed

    def interference_seconds(self, sessions: int) -> float:
        """Enquanto um pedido gera, cada um dos outros o interrompe com um prefill."""
        return self.prefill_seconds * (sessions - 1) / self.output_tokens

    def breakdown_ms(self, sessions: int) -> dict[str, float]:
        rows = self.rows(sessions)
        seconds = {part: fixed + each * rows for part, (fixed, each) in self.parts.items()}
        untouched = self.untouched_ratio(sessions)
        seconds["experts"] -= self.parts["experts"][0] * untouched**self.step_tokens
        if "draft" in seconds:
            seconds["draft"] -= self.draft_experts_seconds * untouched
        seconds = {part: value / self.acceptance_length for part, value in seconds.items()}
        seconds["prefill_interference"] = self.interference_seconds(sessions)
        return {part: 1e3 * self.scale * value for part, value in seconds.items()}

    def tpot_ms(self, sessions: int) -> float:
        """A soma de `breakdown_ms`, que as buscas repetem."""
        fixed, each = self.step_seconds
        untouched = self.untouched_ratio(sessions)
        step = (fixed + each * self.rows(sessions) - self.draft_experts_seconds * untouched
                - self.parts["experts"][0] * untouched**self.step_tokens)
        return 1e3 * self.scale * (
            step / self.acceptance_length + self.interference_seconds(sessions))

    def prefill_ratio(self, sessions: int) -> float:
        """A parte do tempo gasta no prefill dos outros pedidos."""
        return 1e3 * self.scale * self.interference_seconds(sessions) / self.tpot_ms(sessions)

    def step_ms(self, sessions: int) -> float:
        """Um passo de decode sem prefill."""
        own_ms = self.tpot_ms(sessions) - 1e3 * self.scale * self.interference_seconds(sessions)
        return own_ms * self.acceptance_length

    def prompt_steps(self, sessions: int) -> float:
        """Passos em que um prompt anda, no que os tokens que se geram deixam do lote."""
        room = self.terms["batched_tokens"] - self.rows(sessions) * self.step_tokens
        return self.terms["mean_input_tokens"] / max(1.0, room)

    def queue_utilization(self, sessions: int) -> float:
        """A parte dos passos que leva um prompt dos outros; por rank de data parallel, se há.

        Enquanto um pedido gera, chega um de cada outra sessão (lei de Little, contada em passos):
        quem gera mais devagar leva na mesma medida mais tempo a prefilar, e não ganha com isso uma
        fila menor.
        """
        steps = self.output_tokens / self.acceptance_length * self.stages
        others = max(0.0, sessions / self.data_parallel - 1)
        return others * self.prompt_steps(sessions) / steps

    def service_ms(self, sessions: int) -> float:
        """De um prompt na fila: o prefill, com os dos outros ranks, e os passos em que anda."""
        steps = self.prompt_steps(sessions) * self.step_ms(sessions) / self.stages
        return 1e3 * self.scale * self.data_parallel * self.prefill_seconds + steps

    def wait_ms(self, sessions: int, time: str) -> float:
        """Na fila de prefills, um por vez: um percentil da espera M/G/1; inf se não se prevê.

        Pollaczek–Khinchine dá a média, ρ / (1 − ρ) · E[S²] / E[S] / 2; espera quem chega na
        parte ρ do tempo, e quem espera, um tempo exponencial.
        """
        busy, late = self.queue_utilization(sessions), FIRST_TOKENS[time][0]
        if busy > QUEUE_UTILIZATION:
            return inf
        mean_ms = self.service_ms(sessions) * self.prefill_spread / 2 / (1 - busy)
        return mean_ms * log(max(1, busy / late))

    @cached_property
    def queue_sessions(self) -> int | None:
        """As da maior carga em que a fila se prevê; None se em qualquer uma."""
        most = largest(QUEUE_SESSIONS,
                       lambda n: self.queue_utilization(n) <= QUEUE_UTILIZATION, 1)
        return most if most < QUEUE_SESSIONS else None

    def unqueued_ms(self, sessions: int) -> float:
        """Até o primeiro token, sem fila: o prefill, meio passo de espera e os passos dele.

        O último leva também prompts dos outros.
        """
        steps_ms = (self.terms["chunks"] - 1) * self.step_ms(sessions)
        return 1e3 * self.alone_seconds + steps_ms + 1.5 * self.tpot_ms(
            sessions) * self.acceptance_length

    def time_ms(self, time: str, sessions: int) -> float:
        """tpot, ttft (a mediana) ou ttft_p95, os do prompt mais longo; inf se não se prevê."""
        if time == "tpot":
            return self.tpot_ms(sessions)
        return self.unqueued_ms(sessions) + self.wait_ms(sessions, time)

    def latency_seconds(self, sessions: int) -> float:
        """De um pedido, do envio ao último token."""
        return (self.unqueued_ms(sessions)
                + self.tpot_ms(sessions) * (self.output_tokens - 1)) / 1e3

    def planned_latency_seconds(self, sessions: int) -> float:
        """A que decide os nós de uma taxa."""
        return self.latency_seconds(sessions) * self.margins["latency"]

    def saturated_tokens_per_second(self, sessions: int) -> float:
        """Da réplica sempre cheia."""
        own = self.scale * self.prefill_seconds / self.output_tokens
        return sessions / (self.tpot_ms(sessions) / 1e3 + own)

    def missed(self, q: Question, sessions: int) -> str:
        """O tempo que uma réplica com estas sessões não cumpre, em `time_limits_ms`, ou nenhum."""
        return next((time for time, limit_ms in q.time_limits_ms.items()
                     if self.time_ms(time, sessions) * self.margins[time] > limit_ms), "")


@dataclass(frozen=True, eq=False)
class DecodeSpeed(Speed):
    """A de uma réplica só de decode: o prompt e a fila são os de outro lote de nós."""

    prompt_ms: float = 0.0
    utilization: float = 0.0  # a parte do tempo que o outro lote passa ocupado

    throughput_range = APART_THROUGHPUT_RANGE
    queue_sessions = None  # a fila não depende das sessões da réplica

    def queue_utilization(self, sessions: int) -> float:
        return self.utilization

    def service_ms(self, sessions: int) -> float:
        return self.prompt_ms


def without_prefill(speed: Speed, first_seconds: float) -> DecodeSpeed:
    """A mesma réplica, se os prompts chegam prefilados depois de `first_seconds`."""
    own = {field.name: getattr(speed, field.name) for field in fields(speed)}
    return DecodeSpeed(**dict(own, prefill_seconds=0.0, alone_seconds=first_seconds,
                              terms={**speed.terms, "chunks": 1}))


def prefill_spread(q: Question, end: int, seconds: Callable[[float, float, float], float]
                   ) -> float:
    """E[S²] / E[S]², se `seconds` dá S de (tokens novos, FLOPs da atenção e do indexador)."""
    if len(q.lengths) == 1:
        return 1.0
    mean = square = 0.0
    for context, share in q.lengths:
        new = q.new_tokens(end, context)
        cached = context - q.output_tokens - new
        each = seconds(new, attention_flops(q.model, new, cached),
                       indexer_flops(q.model, new, cached))
        mean, square = mean + float(share) * each, square + float(share) * each**2
    return square / mean**2


def tpot_range_of(q: Question, layout: Layout) -> tuple[float, float]:
    """Medido / previsto em 80% das medidas como esta."""
    if q.calibration:
        return TPOT_CALIBRATED_RANGE
    if not layout.measured:
        return TPOT_UNMEASURED_RANGE
    if layout.data_parallel > 1:
        return TPOT_DATA_PARALLEL_RANGE
    if q.speculative_tokens:
        return TPOT_DRAFTED_RANGE
    return TPOT_MOE_RANGE if q.model.num_experts else TPOT_RANGE


def speculative_parts(q: Question, t: dict[str, float], parts: Parts) -> Parts:
    """As parcelas de um passo que confere K + 1 tokens por sequência, e a de rascunhar K.

    O KV se lê uma vez, e a atenção latente já conta os K + 1. Cada rascunho custa do modelo o que
    a sua camada tem dos bytes dele, com a cabeça inteira.
    """
    if not q.mtp:
        return parts
    ratios = {"weights": "draft_weights_ratio", "experts": "draft_experts_ratio",
              "kv": "draft_kv_ratio"}
    drafts, tokens = q.speculative_tokens, q.speculative_tokens + 1
    shares = {part: drafts * t[ratios.get(part, "draft_layers_ratio")] for part in parts}
    verified = {part: (fixed, each if part == "kv" else tokens * each)
                for part, (fixed, each) in parts.items()}
    verified["draft"] = (sum([share * parts[part][0] for part, share in shares.items()]),
                         sum([share * parts[part][1] for part, share in shares.items()]))
    return verified


def sent_seconds(q: Question, layout: Layout, t: dict[str, float]) -> tuple[float, float]:
    """De um token, pela banda toda: (dentro da etapa, ida e volta; até a etapa seguinte, ida)."""
    hidden, gpus, hops = q.model.hidden_size or 0, layout.stage_gpus, layout.pipeline_parallel - 1
    return (2 * t["layers"] * 4 * hidden * (gpus - 1) / gpus / t["link_bandwidth"],
            hops * 2 * hidden / t["hop_bandwidth"])


def waiting_seconds(layout: Layout, t: dict[str, float]) -> float:
    """Duas esperas por camada, entre as GPUs de uma etapa."""
    return 2 * t["layers"] * t["wait_seconds"] if layout.stage_gpus > 1 else 0.0


def expert_seconds(layout: Layout, t: dict[str, float]) -> float:
    """De um token, se as unidades de matriz rendessem tudo."""
    return 2 * t["expert_params"] * t["touched_ratio"] / t["expert_flops"] / layout.stage_gpus


def step_parts(q: Question, layout: Layout, t: dict[str, float]) -> Parts:
    """As parcelas de um passo de decode: tp divide as camadas densas; tp · dp, os especialistas."""
    bandwidth, bf16, hops = t["hbm_bandwidth"], t["bf16_flops"], layout.pipeline_parallel - 1
    return {
        "weights": (t["gpu_read_bytes"] / (bandwidth * WEIGHTS_MBU),
                    2 * (t["gpu_linear_params"] / t["dense_flops"] + t["gpu_head_params"] / bf16)
                    / DECODE_MFU),
        "experts": (t["expert_bytes"] / layout.stage_gpus / (bandwidth * EXPERTS_MBU),
                    layout.data_parallel * expert_seconds(layout, t) / t["experts_decode_mfu"]
                    + t["dispatched_bytes"] * DECODE_COPIES / bandwidth),
        "kv": (0.0, t["kv_read_bytes"] / (bandwidth * KV_MBU)
               + t["indexer_read_bytes"] / (bandwidth * INDEXER_MBU)
               + t["absorbed_flops"] / layout.tensor_parallel / (bf16 * ATTENTION_MFU)),
        "communication": (waiting_seconds(layout, t) + hops * NETWORK_SECONDS,
                          sum(sent_seconds(q, layout, t)) / DECODE_LINK_RATIO),
        "launch": (t["launch_seconds"], 0.0)}


def prompt_parts(q: Question, layout: Layout, t: dict[str, float]) -> dict[str, float]:
    """De um token de prompt: o que o rank calcula dos seus, o que todos dividem, o que se envia."""
    sent, hop = sent_seconds(q, layout, t)
    return {"own_seconds": 2 * t["gpu_linear_params"] / t["dense_flops"] / t["dense_prefill_mfu"]
            + t["dispatched_bytes"] * PREFILL_COPIES / t["hbm_bandwidth"],
            "shared_seconds": expert_seconds(layout, t) / t["experts_prefill_mfu"],
            "moved_seconds": (sent / t["senders"] + hop) / PREFILL_LINK_RATIO}


def speed_of(q: Question, layout: Layout, end: int, tpot_scale: float = 1.0) -> Speed:
    """Com as equações do README."""
    t = speed_terms(q, layout, end)
    parts, prompt = step_parts(q, layout, t), prompt_parts(q, layout, t)
    own, shared, moved = prompt.values()
    tp, dp, stages = layout.tensor_parallel, layout.data_parallel, layout.pipeline_parallel

    def attention_seconds(flops: float, indexer: float) -> float:
        bf16 = t["bf16_flops"]
        return flops / tp / (bf16 * ATTENTION_MFU) + indexer / (bf16 * INDEXER_MFU)

    def prefill_seconds(new: float, flops: float, indexer: float) -> float:
        """De um pedido entre os outros."""
        return (REQUEST_SECONDS + new * ((own / dp + shared + moved) / stages)
                + attention_seconds(flops, indexer) / dp / stages)

    # Um prompt sozinho enche as etapas lote a lote; sem elas, a fila é ele mesmo.
    filling = (1 + (stages - 1) / t["chunks"]) / stages
    alone = max((q.ends[end] * (own + shared + moved) + attention_seconds(
        t["attention_flops"], t["indexer_flops"])) * filling,
                parts["weights"][0] + parts["experts"][0])
    alone += t["layers"] * PREFILL_LAYER_SECONDS + waiting_seconds(layout, t)
    return Speed(
        input_tokens=q.ends[end], output_tokens=q.output_tokens, terms={**t, **prompt},
        parts=speculative_parts(q, t, parts), step_tokens=q.speculative_tokens + 1,
        acceptance_length=float(q.acceptance_length or 1),
        draft_experts_seconds=q.speculative_tokens * t.get(
            "draft_experts_ratio", 0.0) * parts["experts"][0],
        data_parallel=dp, stages=stages,
        prefill_seconds=prefill_seconds(*(
            t["mean_" + name] for name in ("input_tokens", "attention_flops", "indexer_flops"))),
        prefill_spread=prefill_spread(q, end, prefill_seconds), alone_seconds=tpot_scale * alone,
        scale=tpot_scale, tpot_range=tpot_range_of(q, layout),
        confident=q.confidence != EVEN or not (layout.measured or q.calibration))


def speculation_pays_until(speed: Speed, plain: Speed, most: int) -> int | None:
    """Sessões na réplica até as quais especular dá TPOT menor; None: até `most`, as que cabem.

    `plain` é a mesma réplica sem especulação. Com poucas sessões, o que se poupa é ler os pesos a
    cada token; com muitas, conferir mais tokens do que se aceitam custa mais.
    """
    def pays(sessions: int) -> bool:
        return speed.tpot_ms(sessions) < plain.tpot_ms(sessions)

    if pays(most):
        return None
    low = max([load for load in (1 << bit for bit in range(most.bit_length())) if pays(load)],
              default=0)
    return largest(min(2 * low, most), pays, low)


def interval(estimate: float, low: float, high: float) -> dict[str, float]:
    """`low` e `high` são fatores sobre a previsão."""
    return {"estimate": rounded(estimate), "low": rounded(estimate * low),
            "high": rounded(estimate * high)}


def performance_of(q: Question, speed: Speed, replicas: int, nodes: int, sessions: int) -> Json:
    """A velocidade da réplica mais cheia, com `sessions` nas `replicas` de `nodes` nós."""
    fullest = ceil_div(sessions, replicas)
    tpot, (low, high) = speed.tpot_ms(fullest), speed.tpot_range
    parts, first_tokens = speed.breakdown_ms(fullest), {}
    for time, (_, ratios) in FIRST_TOKENS.items():
        ms = speed.time_ms(time, fullest)
        first_tokens[time + "_ms"] = interval(ms, *ratios) if ms < inf else None
    rate, per_session = "output_tokens_per_second_per_", interval(1e3 / tpot, 1 / high, 1 / low)
    per_node = interval(sessions / nodes * speed.output_tokens / speed.latency_seconds(fullest),
                        *speed.throughput_range)
    return {
        "input_tokens": speed.input_tokens,
        "cached_tokens": q.prompt_tokens - speed.input_tokens, "nodes": nodes,
        "sessions": sessions, "sessions_per_replica": fullest, "tpot_ms": interval(tpot, low, high),
        **first_tokens,
        rate + "session": per_session.pop("estimate"), rate + "session_range": per_session,
        rate + "node": per_node.pop("estimate"), rate + "node_range": per_node,
        "breakdown_ms": {part: rounded(ms) for part, ms in parts.items()},
        "binding": max(parts, key=lambda part: parts[part]),
        "prefill_ratio": rounded(speed.prefill_ratio(fullest)),
        "queue_utilization": rounded(speed.queue_utilization(fullest)),
        "queue_sessions_per_replica": speed.queue_sessions}


# ── Nós e falhas: Offer, o que uma unidade de um leiaute admite; ha_plan_of


def with_headroom(sessions: Exact, headroom: Exact) -> int:
    """⌈sessions · (1 + headroom)⌉: as sessões do pico; em inteiros, que são mais rápidos."""
    return ceil_div(sessions.numerator * (headroom.denominator + headroom.numerator),
                    sessions.denominator * headroom.denominator)


def nodes_for(sessions: int, sessions_per_unit: int, nodes_per_unit: int) -> int:
    return ceil_div(sessions, sessions_per_unit) * nodes_per_unit


@dataclass(frozen=True, eq=False)
class Offer:
    """O que uma unidade de um leiaute admite numa ponta, para qualquer número de sessões pedido.

    Sem dados para o teto físico não há leiaute, e só o plano limita.
    """

    question: Question  # dela não contam a carga, o pico, a HA nem os nós
    layout: Layout | None
    predictable: bool  # há dados para prever a velocidade
    tpot_scale: float = 1.0  # medido / previsto, da calibração
    end: int = 0  # a ponta da carga, em `Question.ends`
    first_seconds: float = 0.0  # que o decode deixa ao prefill de outro lote e à fila dele

    @cached_property
    def nodes_per_unit(self) -> int:
        return self.layout.nodes_per_unit if self.layout else 1

    @cached_property
    def replicas_per_unit(self) -> int:
        return self.layout.replicas_per_unit if self.layout else 1

    @property
    def prefix_copies(self) -> int:
        """As do prefixo comum numa unidade: uma por réplica, e por rank de data parallel."""
        return self.layout.replicas_per_unit * self.layout.data_parallel if self.layout else 1

    @property
    def input_tokens(self) -> int:
        """Novos, por pedido."""
        return self.question.ends[self.end]

    @cached_property
    def plan_sessions(self) -> int:
        return plan_sessions_of(self.question, self.nodes_per_unit, self.prefix_copies)

    @cached_property
    def other_end(self) -> Offer | None:
        """A do mesmo leiaute na outra ponta da carga, se há."""
        return replace(self, end=1) if len(self.question.ends) > 1 else None

    @cached_property
    def speed(self) -> Speed | None:
        """None se faltam dados, como a banda da rede de uma réplica de vários nós."""
        network = self.nodes_per_unit == 1 or self.question.server.network_gbps_per_gpu
        if not self.layout or not self.predictable or not network:
            return None
        return self.served(self.question, self.layout)

    def served(self, q: Question, layout: Layout) -> Speed:
        """Sem os prefills, se eles são de outro lote."""
        speed = speed_of(q, layout, self.end, self.tpot_scale)
        return without_prefill(speed, self.first_seconds) if q.disaggregated == "yes" else speed

    @cached_property
    def plain_speed(self) -> Speed | None:
        """A da mesma réplica sem especulação, se há."""
        if not self.speed or not self.layout or not self.question.speculative_tokens:
            return None
        plain = replace(self.question, speculative_tokens=0, requested_acceptance_length=None)
        return self.served(plain, self.layout)

    @cached_property
    def speculation_pays_until(self) -> int | None:
        """Sessões na réplica; None se compensa em todas as que cabem, ou se não há especulação."""
        if not self.speed or not self.layout or not self.plain_speed:
            return None
        most = max(1, self.layout.sessions_per_replica)
        return speculation_pays_until(self.speed, self.plain_speed, most)

    @cached_property
    def admitted(self) -> tuple[int, str]:
        """(sessões por unidade, o que as limita: como em `LIMITS`)."""
        sessions, limited_by = self.plan_sessions, "plan"
        if self.layout and self.layout.ceiling_sessions < sessions:
            sessions = self.layout.ceiling_sessions
            limited_by = "max_num_seqs" if self.layout.capped(self.question) else "engine_memory"
        q, replicas = self.question, self.replicas_per_unit
        if q.timed and self.speed:
            speed = self.speed
            kept = largest(ceil_div(sessions, replicas), lambda n: not speed.missed(q, n))
            if kept * replicas < sessions:
                return kept * replicas, speed.missed(q, kept + 1)
        return sessions, limited_by

    @cached_property
    def sessions_per_unit(self) -> int:
        return self.admitted[0]

    @property
    def sessions_per_node(self) -> int:
        return self.sessions_per_unit // self.nodes_per_unit

    @property
    def full_replica_sessions(self) -> int:
        """Da réplica mais cheia de uma unidade cheia."""
        return ceil_div(self.sessions_per_unit, self.replicas_per_unit)

    @property
    def limited_by(self) -> str:
        return self.admitted[1]

    def sessions_in_progress(self, q: Question, speed: Speed | None, headroom: Exact,
                             units: int) -> int:
        """As que `units` unidades mantêm sob a carga, até as que elas admitem."""
        if q.requests_per_second is None:
            return min(with_headroom(q.concurrency or 0, headroom), units * self.sessions_per_unit)
        # O menor ponto fixo da lei de Little em cada unidade: sessões = taxa · latência(sessões).
        assert speed  # sem ela, a taxa já foi recusada
        latency = speed.planned_latency_seconds
        rate = q.requests_per_second * (1 + headroom) / units
        replicas, most = self.replicas_per_unit, self.sessions_per_unit
        each = float(rate / replicas)
        fullest = 1 + largest(ceil_div(most, replicas) - 1, lambda n: n < each * latency(n))
        return units * min(most, max(1, ceil_div(rate * Fraction(latency(fullest)), 1)))

    def demand(self, q: Question) -> tuple[Exact, int]:
        """(Sessões que a carga pede; as que uma unidade cheia dá, ao menos uma)."""
        sessions = max(self.sessions_per_unit, 1)
        if q.requests_per_second is None:
            return q.concurrency or 0, sessions
        # Little: uma unidade cheia serve sessões / latência; as que sobram da divisão pelas
        # réplicas só contam se pagam a latência que acrescentam.
        assert self.speed
        replicas, latency = self.replicas_per_unit, self.speed.planned_latency_seconds
        full = [(n, Fraction(latency(ceil_div(n, replicas))))
                for n in {sessions, sessions // replicas * replicas or sessions}]
        sessions, seconds = max(full, key=lambda item: item[0] / item[1])
        return q.requests_per_second * seconds, sessions

    def nodes(self, q: Question, headroom: Exact) -> int:
        """Os que levam a carga com este pico, sem reserva."""
        planned_sessions, full_sessions = self.demand(q)
        return nodes_for(with_headroom(planned_sessions, headroom), full_sessions,
                         self.nodes_per_unit)

    def nodes_with_spares(self, q: Question) -> int:
        return self.nodes(q, q.peak_headroom_ratio) + self.nodes_per_unit * q.ha_spares

    def max_concurrency(self, q: Question) -> int:
        """Sessões que os nós dados mantêm, com o pico e a reserva de HA à parte."""
        units = (q.nodes or 0) // self.nodes_per_unit - q.ha_spares
        return max(0, units * self.sessions_per_unit // (1 + q.peak_headroom_ratio))

    def preference(self, q: Question) -> tuple[int, ...]:
        """Do melhor ao pior: menos nós, unidade menor, menos nós sem pico, leiaute medido, mais
        sessões, teto, tp.

        Sem resposta, por último; quando se pedem sessões, mais sessões no lugar de menos nós.
        """
        first = -self.max_concurrency(q) if q.asks == "sessions" else self.nodes_with_spares(q)
        # Sem taxa, mais sessões já são menos nós sem pico.
        nominal = 0 if q.requests_per_second is None else self.nodes(q, 0)
        sessions, unit, layout = self.sessions_per_unit, self.nodes_per_unit, self.layout
        last = (-layout.ceiling_sessions, layout.tensor_parallel) if layout else ()
        unmeasured = layout is not None and not layout.measured
        return (not sessions, first, unit, nominal, unmeasured, -sessions, *last)


def ha_plan_of(q: Question, offer: Offer, concurrency: int, nodes_minimum: int,
               nodes_with_headroom: int, nodes_final: int) -> Json:
    """O que resta depois das falhas que a HA cobre, ou de uma, se não cobre nenhuma."""
    # Um nó que falta tira a sua unidade inteira; os ociosos de uma carga fixa o substituem.
    unit, failed_nodes = offer.nodes_per_unit, max(1, q.ha_spares)
    units, idle = divmod(nodes_final, unit)
    units_left = max(0, units - max(0, failed_nodes - idle))
    covers = units_left * unit >= nodes_minimum
    return {
        "failed_nodes": failed_nodes, "nodes_after_failure": units_left * unit,
        "sessions_after_failure": units_left * offer.sessions_per_unit,
        "covers_concurrency": covers, "covers_peak": units_left * unit >= nodes_with_headroom,
        "failures_covered_nominal": max(0, idle + units - nodes_minimum // unit),
        "failures_covered_peak": max(0, idle + units - nodes_with_headroom // unit),
        "interrupted_sessions": ceil_div(concurrency, units),
        "meets_objectives": covers if q.timed else None}


# ── Prefill e decode separados: Prefill, as réplicas do prompt; Pools, os dois lotes de nós

DISAGGREGATED = ("no", "yes", "auto")
PREFILL_UTILIZATION = 0.8  # da réplica de prefill, no pico


@dataclass(frozen=True, eq=False)
class Prefill:
    """Réplicas que só fazem o prefill, um por vez, e mandam o KV às de decode pela rede.

    Os tokens em cache o estão nos dois lotes: só se calcula, e só viaja, o que é novo.
    """

    question: Question
    layout: Layout
    speed: Speed
    receiving_tp: int = 1  # o do decode
    end: int = 0

    @cached_property
    def service_seconds(self) -> float:
        """De um prompt, um por vez na réplica."""
        return self.speed.scale * self.speed.prefill_seconds

    @cached_property
    def transfer_bytes(self) -> tuple[int, float]:
        """O KV dos tokens novos do prompt mais longo: (ao todo, na GPU que mais envia ou recebe).

        O tp divide as cabeças; o que o decode repete viaja uma vez por cópia.
        """
        q, tp, receiving = self.question, self.layout.tensor_parallel, self.receiving_tp
        sizes = [(group.session_bytes(q.ends[self.end], q.element_bytes),
                  min(receiving, group.shards)) for group in q.model.kv_groups]
        sent = sum([size * max(1 / min(tp, shards), receiving / shards / tp)
                    for size, shards in sizes])
        return sum([size for size, _ in sizes]), sent

    @property
    def transfer_seconds(self) -> float:
        network = float(self.question.server.network_gbps_per_gpu or 0) * GB * PREFILL_LINK_RATIO
        return self.transfer_bytes[1] / network

    @property
    def first_seconds(self) -> float:
        """O prefill de um prompt sozinho e o envio do KV."""
        return self.speed.alone_seconds + self.transfer_seconds

    def serving(self, decode: Speed, utilization: float) -> Speed:
        """A do decode, com o prefill e a fila deste lote."""
        assert isinstance(decode, DecodeSpeed)
        return replace(
            decode, alone_seconds=self.first_seconds, prefill_spread=self.speed.prefill_spread,
            confident=decode.confident or self.speed.confident,
            prompt_ms=1e3 * self.service_seconds, utilization=utilization)

    def missed(self, decode: Speed, sessions: int, utilization: float) -> str:
        """O TTFT que não se cumpre com esta parte do tempo ocupada, ou nenhum."""
        limits = dict(self.question.time_limits_ms)
        limits.pop("tpot", None)
        speed = self.serving(decode, utilization) if limits else decode
        return next((time for time, limit_ms in limits.items()
                     if speed.time_ms(time, sessions) * speed.margins[time] > limit_ms), "")

    def most_utilization(self, decode: Speed, sessions: int) -> float:
        """A maior, em milésimos, até a do plano; 0 se nem sem fila se cumpre o TTFT."""
        most = int(1000 * PREFILL_UTILIZATION)
        if not self.missed(decode, sessions, PREFILL_UTILIZATION):
            return PREFILL_UTILIZATION
        return largest(most, lambda part: not self.missed(decode, sessions, part / 1000)) / 1000

    def nodes(self, rate: float, utilization: float) -> int:
        busy = Fraction(rate * self.service_seconds * self.speed.margins["latency"])
        return nodes_for(ceil_div(busy / Fraction(utilization), 1),
                         self.layout.replicas_per_unit, self.layout.nodes_per_unit)

    def replicas(self, nodes: int) -> int:
        return nodes // self.layout.nodes_per_unit * self.layout.replicas_per_unit


@dataclass(frozen=True, eq=False)
class Pools:
    """Os dois lotes: os nós de cada um, (capacidade pura, com o pico, com a reserva)."""

    question: Question
    prefill: Prefill
    decode: Offer
    prefill_nodes: tuple[int, int, int]
    decode_nodes: tuple[int, int, int]

    @property
    def nodes(self) -> tuple[int, int, int]:
        minimum, peak, final = map(sum, zip(self.prefill_nodes, self.decode_nodes))
        return minimum, peak, final

    @property
    def loaded(self) -> tuple[int, int]:
        """Os nós de (prefill, decode) que levam o pico: todos, sem a reserva."""
        spares = self.question.ha_spares
        return (self.prefill_nodes[2] - spares * self.prefill.layout.nodes_per_unit,
                self.decode_nodes[2] - spares * self.decode.nodes_per_unit)

    @cached_property
    def most_utilization(self) -> float:
        """Com a réplica de decode cheia, o pior que o TTFT encontra."""
        assert self.decode.speed
        return self.prefill.most_utilization(self.decode.speed, self.decode.full_replica_sessions)

    @property
    def most_prompts(self) -> float:
        """Por segundo, o que o prefill leva no plano, sem a reserva."""
        prefill = self.prefill
        return prefill.replicas(self.loaded[0]) * self.most_utilization / (
            prefill.service_seconds * prefill.speed.margins["latency"])

    def arrivals(self, headroom: Exact, decode_nodes: int) -> tuple[int, int]:
        """(As sessões em andamento, as da réplica de decode mais cheia)."""
        units = decode_nodes // self.decode.nodes_per_unit
        sessions = self.decode.sessions_in_progress(
            self.question, self.decode.speed, headroom, units)
        return sessions, ceil_div(sessions, units * self.decode.replicas_per_unit)

    def rate(self, prefill: Prefill, headroom: Exact, decode_nodes: int) -> float:
        """Pedidos por segundo: a taxa dada, ou a lei de Little, sem a fila."""
        q, speed = self.question, self.decode.speed
        if q.requests_per_second is not None or not speed:
            return float((q.requests_per_second or 0) * (1 + headroom))
        sessions, fullest = self.arrivals(headroom, decode_nodes)
        return sessions / prefill.serving(speed, 0.0).latency_seconds(fullest)

    def sessions_carried(self, up: tuple[int, int]) -> int:
        """As que os dois lotes levam com `up` nós de (prefill, decode)."""
        most = up[1] // self.decode.nodes_per_unit * self.decode.sessions_per_unit
        if self.question.requests_per_second is not None:
            return most  # os prompts não mudam com elas

        def served(sessions: int) -> bool:
            loaded = replace(self, question=replace(self.question, concurrency=sessions))
            rate = loaded.rate(self.prefill, 0, up[1])
            return self.prefill.nodes(rate, self.most_utilization) <= up[0]

        return largest(most, served)

    def plans(self, concurrency: int) -> tuple[Json, Json]:
        """O `ha_plan_of` de cada lote: (prefill, decode)."""
        offer = Offer(self.question, self.prefill.layout, True)
        return (ha_plan_of(self.question, offer, concurrency, *self.prefill_nodes),
                ha_plan_of(self.question, self.decode, concurrency, *self.decode_nodes))

    def speed_and_case(self, end: int, headroom: Exact, up: tuple[int, int]
                       ) -> tuple[Speed, Json]:
        """A velocidade com `up` nós de (prefill, decode) no ar; a fila sem fim não tem TTFT."""
        q, offer, units = self.question, self.decode, up[1] // self.decode.nodes_per_unit
        prefill = self.prefill
        if end:
            prefill = replace(prefill, end=end, speed=speed_of(q, prefill.layout, end))
        speed = replace(offer, end=end).speed if end else offer.speed
        assert speed
        rate, replicas = self.rate(prefill, headroom, up[1]), prefill.replicas(up[0])
        busy = rate / replicas * prefill.service_seconds
        speed, engines = prefill.serving(speed, busy), units * offer.replicas_per_unit
        sessions = offer.sessions_in_progress(q, speed, headroom, units)
        if busy >= 1:  # o prefill dita o ritmo: sessões / latência é o que ele dá
            late = sessions * prefill.service_seconds / replicas - speed.latency_seconds(
                ceil_div(sessions, engines))
            speed = replace(speed, alone_seconds=speed.alone_seconds + max(0.0, late))
        case = performance_of(q, speed, engines, sum(up), sessions)
        covered = (offer.nodes(q, headroom) <= up[1]
                   and prefill.nodes(rate, self.most_utilization) <= up[0])
        return speed, {"covered": covered, **case}


def decode_nodes_of(q: Question, offer: Offer) -> tuple[int, int, int]:
    return offer.nodes(q, 0), offer.nodes(q, q.peak_headroom_ratio), offer.nodes_with_spares(q)


def pools_choices(q: Question, offer: Offer, prefills: Sequence[Prefill],
                  given: tuple[int, int, int] | None = None) -> list[Pools]:
    """Os dois lotes, com os nós de decode dados ou os da carga. Levanta `NothingFits`.

    Os prompts chegam como com todo o decode no ar; o primeiro leiaute é o que compra menos nós de
    prefill.
    """
    found: list[tuple[Any, Pools]] = []
    assert offer.layout
    decode_nodes = given or decode_nodes_of(q, offer)
    for prefill in prefills:
        prefill = replace(prefill, receiving_tp=offer.layout.tensor_parallel)
        pools = Pools(q, prefill, offer, (0, 0, 0), decode_nodes)
        if not pools.most_utilization:
            continue
        minimum, peak = [prefill.nodes(pools.rate(prefill, headroom, decode_nodes[2]),
                                       pools.most_utilization)
                         for headroom in (0, q.peak_headroom_ratio)]
        unit = prefill.layout.nodes_per_unit
        final = peak + q.ha_spares * unit
        found.append(((final, unit, not prefill.layout.measured, prefill.first_seconds),
                      replace(pools, prefill_nodes=(minimum, peak, final))))
    if not found:
        raise prefill_refusal(q, offer, prefills)
    return [pools for _, pools in sorted(found, key=lambda item: item[0])]


def planned_first_seconds(q: Question, tp: int, prefills: Sequence[Prefill]) -> float:
    """O que o decode deixa ao prefill: o do leiaute mais rápido e, à fila, até outro tanto."""
    fastest = min([replace(prefill, receiving_tp=tp).first_seconds for prefill in prefills],
                  default=0.0)
    limits = [limit_ms / 1e3 for time, limit_ms in q.time_limits_ms.items() if time != "tpot"]
    return fastest + min([fastest, *[max(0.0, limit - fastest) / 2 for limit in limits]])


def pools_within(pools: Pools, prefills: Sequence[Prefill], nodes: int) -> Pools:
    """Os mesmos em todos os nós dados, divididos para levar mais sessões."""
    q, offer, (least, peak, final) = pools.question, pools.decode, pools.decode_nodes

    def carried(found: Pools) -> int:
        return found.sessions_carried(found.loaded) if found.nodes[2] <= nodes else -1

    def split(prefill_nodes: int) -> Pools:
        unit, filled = offer.nodes_per_unit, []
        decode_nodes = least, peak, (nodes - prefill_nodes) // unit * unit
        for found in pools_choices(q, offer, prefills, decode_nodes):
            unit, (low, high, bought) = found.prefill.layout.nodes_per_unit, found.prefill_nodes
            filled.append(replace(found, prefill_nodes=(
                low, high, max(bought, prefill_nodes // unit * unit))))
        return max(filled, key=lambda found: (found.nodes[2] <= nodes, found.most_prompts))

    def prefill_binds(prefill_nodes: int) -> bool:
        """Falta prefill, para a carga ou para as vagas do decode."""
        found = split(prefill_nodes)
        room = found.loaded[1] // offer.nodes_per_unit * offer.sessions_per_unit
        return carried(found) < room

    # O mais que se leva está onde o prefill deixa de faltar, ou logo antes.
    enough = 1 + largest(nodes - final - 1, prefill_binds)
    return max(map(split, (enough, enough - 1)), key=carried)


def pooled_ha_plan(prefill: Json, decode: Json) -> Json:
    """O dos dois lotes, se em cada um caem os nós que a HA cobre, ou um."""
    both, up = {**decode}, prefill["nodes_after_failure"] and decode["nodes_after_failure"]
    both["nodes_after_failure"] = up and up + prefill["nodes_after_failure"]
    both["sessions_after_failure"] = decode["sessions_after_failure"] if up else 0
    for name in ("covers_concurrency", "covers_peak", "failures_covered_nominal",
                 "failures_covered_peak"):
        both[name] = min(prefill[name], decode[name])
    if both["meets_objectives"] is not None:
        both["meets_objectives"] = both["covers_concurrency"]
    return both


# ── Storage, energia e dinheiro: storage_plan_of, load_seconds, physical_of, costs_of

# Tempos medidos por Run:ai, InstantTensor, ServerlessLLM e ModelExpress.
LOADER_GBPS = 3  # o carregador safetensors faz de 1 a 4 por nó, por mais rápido que seja o disco
ENGINE_START_SECONDS = 90  # de 15 num modelo denso pequeno a 400 num MoE sem kernels em cache
RACK_UNITS, RACK_KW = 42, 45
HOURS_PER_YEAR = 8760


def load_seconds(q: Question, nodes_at_once: int) -> float | None:
    """Até um nó que inicia servir: ler o checkpoint e iniciar o motor; None se não se sabe."""
    path = float(q.storage.throughput_read_gbps)
    if q.storage.shared:
        path /= nodes_at_once
    read = checkpoint_bytes(q) / GB / min(path, LOADER_GBPS)
    return rounded(read + ENGINE_START_SECONDS) if read else None


def recompute_seconds(q: Question, offer: Offer) -> float | None:
    """Refazer o KV de uma sessão: o prefill de todo o prompt, sozinho."""
    if not offer.speed or not offer.layout or q.prompt_tokens <= 0:
        return None
    whole = replace(q, input_tokens=q.prompt_tokens, requested_context=q.effective_context,
                    requested_cached_tokens=None, context_mix=())
    return speed_of(whole, offer.layout, 0, offer.tpot_scale).alone_seconds


def storage_plan_of(q: Question, offer: Offer, nodes: int, sessions: int,
                    holding_nodes: int) -> Json:
    """Os tempos de carga, o KV guardado e o espaço; None é o que o catálogo não diz."""
    checkpoint, shared = checkpoint_bytes(q), q.storage.shared
    parked = sessions if shared else ceil_div(sessions, holding_nodes)
    parked_bytes = kv_total_bytes(q, parked, 1)
    restore = kv_per_session_bytes(q) / GB / float(q.storage.throughput_read_gbps)
    recompute, faster = recompute_seconds(q, offer), None
    if recompute is not None:
        faster = "restore" if restore < recompute else "recompute"
    return {
        "checkpoint_bytes": checkpoint or None, "scope": "shared" if shared else "node",
        "loader_gbps": LOADER_GBPS, "engine_start_seconds": ENGINE_START_SECONDS,
        "node_recovery_seconds": load_seconds(q, offer.nodes_per_unit),
        "cold_start_seconds": load_seconds(q, nodes), "kv_restore_seconds": rounded(restore),
        "kv_recompute_seconds": None if recompute is None else rounded(recompute),
        "kv_faster": faster, "parked_sessions": parked, "parked_kv_bytes": parked_bytes,
        "capacity_bytes": checkpoint + parked_bytes if checkpoint else None}


def physical_of(q: Question, nodes: int) -> Json:
    """Energia e espaço, pelos valores máximos do catálogo; None se ele não diz."""
    kw, units, heat = q.server.power_kw, q.server.rack_units, q.server.heat_btu_h
    nodes_per_rack = racks = None
    if kw and units:
        nodes_per_rack = min(RACK_UNITS // units, int(RACK_KW // kw))
        racks = ceil_div(nodes, nodes_per_rack or 1)  # o que sozinho passa do rack tem o seu
    power_kw = kw and nodes * kw
    return {
        "power_kw": power_kw, "rack_units": units and nodes * units, "racks": racks,
        "nodes_per_rack": nodes_per_rack or None, "heat_btu_h": heat and nodes * heat,
        "energy_mwh_year": power_kw and power_kw * q.pue * Fraction(HOURS_PER_YEAR, 1000)}


def costs_of(q: Question, nodes: int, sessions: int, energy_mwh_year: Exact | None,
             tokens_per_second: float) -> Json:
    """O custo em `years` anos na potência máxima, com a carga nominal sem parar."""
    if q.node_price is None and q.energy_price is None:
        return {}
    price, years, energy = q.node_price, q.years, None
    purchase = None if price is None else nodes * price
    if energy_mwh_year and q.energy_price and years:
        energy = 1000 * energy_mwh_year * q.energy_price * years
    total = (purchase or 0) + (energy or 0)
    tokens = tokens_per_second * 3600 * HOURS_PER_YEAR * float(years or 0)
    return {
        "purchase": purchase, "energy": energy, "total": total,
        "per_session_month": years and Fraction(total) / (years * 12 * sessions),
        "per_million_output_tokens": rounded(float(total) / (tokens / 1e6)) if tokens else None}


# ── O dimensionamento: size, attempt e SizingResult; capacity_of, o que não depende da carga

ABSURD_CALIBRATION = 100  # medido / previsto, ou o inverso, a partir do qual se recusa


@dataclass(frozen=True, eq=False)
class Capacity:
    """O que uma unidade admite em cada leiaute; quem compara cargas a calcula uma vez só."""

    question: Question  # dela não contam a carga, o pico, a HA nem os nós
    missing: list[str]  # os campos que faltam para o teto físico
    speed_missing: list[str]  # e para a velocidade
    offers: tuple[Offer, ...]  # uma por leiaute, da melhor à pior na carga de `question`


def require_speed(q: Question, missing: Sequence[str]) -> None:
    """Levanta `SizingError` se a pergunta depende da velocidade e faltam dados para prevê-la."""
    flags = {"--max-tpot-ms": q.max_tpot_ms, "--min-tokens-per-second": q.min_tokens_per_second,
             "--max-ttft-ms": q.max_ttft_ms, "--max-ttft-p95-ms": q.max_ttft_p95_ms,
             "--requests-per-second": q.requests_per_second, "--calibrate-tpot-ms": q.calibration,
             "--disaggregated": q.disaggregated == "yes"}
    for flag, value in flags.items():
        if missing and value:
            raise SizingError(flag, "não há velocidade a prever: " + missing_text(missing))


def capacity_of(q: Question) -> Capacity:
    """As ofertas, da melhor à pior. Levanta `NothingFits` se nem os pesos e uma sessão cabem."""
    missing = missing_for_ceiling(q)
    speed_missing = missing or missing_for_speed(q)
    require_speed(q, speed_missing)
    require_served(q)
    if not own_kv_sizes(q)[-1][0]:  # as camadas guardam um token em cada `stride`
        raise refusal(q, "--effective-context", q.effective_context)
    if missing and least_weights_bytes(q) > q.server.total_hbm_gb * GB:
        raise NothingFits(q, "weights")
    offers = [Offer(q, None, False)] if missing else unit_offers(q, not speed_missing)
    if q.calibration:
        offers = calibrated(q, offers)
    if q.timed or q.calibration or q.disaggregated == "yes":
        offers = [offer for offer in offers if offer.speed]
        if not offers:
            raise NothingFits(q, "network")
    offers.sort(key=lambda offer: offer.preference(q))
    return Capacity(q, missing, speed_missing, tuple(offers))


def unit_offers(q: Question, predictable: bool) -> list[Offer]:
    """As de um nó, sem etapas, e as outras, se podem comprar menos nós.

    Levanta `NothingFits` se nenhuma admite uma sessão; `SizingError` se não há leiaute com o
    pipeline parallel pedido.
    """
    offers: list[Offer] = []
    node_plan = plan_sessions_of(q, 1, 1)
    ranks = (q.engine_log.data_parallel or 1) if q.engine_log else 0
    require_log(q)

    def compare(replicas: Iterable[Replica]) -> bool:
        """Se alguma já admite todo o plano de um nó: por nó, nenhuma outra admite mais."""
        offers.extend([Offer(q, layout_of(q, replica), predictable) for replica in replicas
                       if ranks in (0, replica.data_parallel)])
        most = max([offer.sessions_per_unit for offer in offers], default=0)
        return most >= node_plan > 0 and q.requests_per_second is None and not q.calibration

    if not compare(replicas_in_a_node(q)) and not compare(staged_replicas(q, 1)):
        compare(chain.from_iterable([spread_replicas(q, nodes)
                                     for nodes in range(2, MAX_NODES_PER_REPLICA + 1)]))
    if not offers:
        raise pipeline_refusal(q)
    able = [offer for offer in offers if offer.layout and offer.layout.ceiling_sessions]
    if not able:
        raise NothingFits(q, "memory", layouts=[
            offer.layout for offer in offers if offer.layout])
    return able


def calibrated(q: Question, offers: Sequence[Offer]) -> list[Offer]:
    """A única em que o TPOT medido vale, com os tempos que o fazem previsto.

    O ponto foi medido no leiaute que estaria em uso sem ele, com a carga e os objetivos da
    pergunta; se estes não se alcançam, sem eles.
    """
    bare = replace(q, calibration=None, nodes=None, concurrency=q.concurrency or 1)
    plain = (attempt(bare) or size(replace(bare, max_tpot_ms=None, min_tokens_per_second=None,
                                           max_ttft_ms=None, max_ttft_p95_ms=None))).offer
    if not plain.speed:
        raise NothingFits(q, "network")
    assert q.calibration and plain.layout
    ms, sessions = q.calibration
    used, predicted_ms = plain.layout, plain.speed.tpot_ms(sessions)
    if sessions > used.sessions_per_replica or not (
            1 / ABSURD_CALIBRATION < ms / predicted_ms < ABSURD_CALIBRATION):
        raise calibration_refusal(ms, sessions, used, predicted_ms)
    return [replace(offer, tpot_scale=ms / predicted_ms) for offer in offers
            if str(offer.layout) == str(used)]


def ranked_offers(q: Question, capacity: Capacity) -> list[Offer]:
    """As ofertas, da melhor à pior. Levanta `NothingFits` se nem a melhor admite uma sessão."""
    offers = list(capacity.offers)
    if q.nodes:  # uma réplica maior que os nós dados não serve, se há outra
        offers = [offer for offer in offers if offer.nodes_per_unit <= q.nodes] or offers
    if q.requests_per_second is not None or len({item.nodes_per_unit for item in offers}) > 1:
        # No resto, mais sessões são menos nós em qualquer carga: vale a ordem da capacidade.
        offers.sort(key=lambda offer: offer.preference(q))
    if not offers[0].plan_sessions:
        raise NothingFits(q, "plan", offers=offers)
    late = q.disaggregated == "yes" and offers[0].limited_by != "tpot"  # o prefill é que o dirá
    if not offers[0].sessions_per_unit and not late:
        raise NothingFits(q, "objectives", offers=offers)
    return offers


@dataclass(frozen=True, eq=False)
class SizingResult:
    """A resposta, com os nomes do JSON; cada bloco se calcula ao ser lido."""

    asked: Question
    question: Question  # com a carga ou o contexto que a resposta deu
    asks: str  # nodes, sessions, context ou load
    capacity: Capacity
    offers: tuple[Offer, ...]  # da que compra menos nós à que compra mais
    concurrency: int  # sessões em andamento
    peak_sessions: int
    spare_sessions: int  # vagas que sobram no pico, sem contar a reserva de HA
    nodes_minimum: int
    nodes_with_headroom: int
    nodes_final: int
    pools: Pools | None = None  # com prefill e decode separados; os nós acima são a soma

    @property
    def offer(self) -> Offer:
        """A de decode, se o prefill é de outro lote."""
        return self.offers[0]

    @property
    def served_nodes(self) -> tuple[int, int, int]:
        """(capacidade pura, com o pico, com a reserva) dos nós que guardam as sessões."""
        own = (self.nodes_minimum, self.nodes_with_headroom, self.nodes_final)
        return self.pools.decode_nodes if self.pools else own

    @property
    def units(self) -> int:
        return self.served_nodes[2] // self.offer.nodes_per_unit

    @cached_property
    def other_mode(self) -> SizingResult | SizingError | None:
        """A resposta com um só lote de nós, ou com os dois; None se não se compara."""
        if self.asked.disaggregated == "no":
            return None
        try:
            return size(replace(self.asked, disaggregated="no" if self.pools else "yes"))
        except SizingError as error:
            return explained(error)

    @property
    def answer(self) -> int:
        return {"nodes": self.nodes_final, "sessions": self.concurrency,
                "context": self.question.effective_context, "load": self.spare_sessions}[self.asks]

    @cached_property
    def ha_plan(self) -> Json:
        if self.pools:
            return pooled_ha_plan(*self.pools.plans(self.concurrency))
        return ha_plan_of(self.question, self.offer, self.concurrency, *self.served_nodes)

    def performance_with(self, speed: Speed, state: str, nodes: int, headroom: Exact) -> Json:
        """De uma ponta da carga, com `nodes` nós no ar."""
        q, offer = self.question, self.offer
        if self.pools:
            return {"state": state, **self.pooled(speed, state, headroom)[1]}
        units = nodes // offer.nodes_per_unit
        sessions = offer.sessions_in_progress(q, speed, headroom, units)
        case = performance_of(q, speed, units * offer.replicas_per_unit, nodes, sessions)
        return {"state": state, "covered": offer.nodes(q, headroom) <= nodes, **case}

    def pooled(self, speed: Speed, state: str, headroom: Exact) -> tuple[Speed, Json]:
        """(A velocidade, a carga) com os dois lotes, na ponta que `speed` tem."""
        assert self.pools
        up = self.pools.prefill_nodes[2], self.pools.decode_nodes[2]
        if "failure" in state:
            prefill, decode = self.pools.plans(self.concurrency)
            up = prefill["nodes_after_failure"], decode["nodes_after_failure"]
        end = self.question.ends.index(speed.input_tokens)
        return self.pools.speed_and_case(end, headroom, up)

    @cached_property
    def nominal_speed(self) -> Speed | None:
        """A de `nominal`: com a fila do prefill, se ele tem o seu lote."""
        speed = self.offer.speed
        return self.pooled(speed, "nominal", 0)[0] if speed and self.pools else speed

    @cached_property
    def nominal(self) -> Json | None:
        """A velocidade da carga dos objetivos com todos os nós; None se não se prevê."""
        speed = self.offer.speed
        return self.performance_with(speed, "nominal", self.nodes_final, 0) if speed else None

    @cached_property
    def states(self) -> list[tuple[str, int, Exact]]:
        """(estado, nós no ar, pico): todos os nós e depois das falhas consideradas."""
        left, peak = self.ha_plan["nodes_after_failure"], self.question.peak_headroom_ratio
        states: list[tuple[str, int, Exact]] = [
            ("nominal", self.nodes_final, 0), ("peak", self.nodes_final, peak),
            ("failure", left, 0), ("failure_peak", left, peak)]
        return [state for state in states if state[1] and (peak or "peak" not in state[0])]

    @cached_property
    def judged(self) -> list[Json]:
        """A carga dos objetivos em cada estado."""
        speed = self.offer.speed
        if not self.nominal or not speed:
            return []
        return [self.nominal, *(self.performance_with(speed, *state) for state in self.states[1:])]

    @cached_property
    def performance(self) -> list[Json]:
        other = self.offer.other_end
        if not self.judged or not other or not other.speed:
            return self.judged
        speed = other.speed
        return self.judged + [self.performance_with(speed, *state) for state in self.states]

    @cached_property
    def confident(self) -> SizingResult | None:
        """Com 90% de confiança; None se já é assim, se o tempo não decide ou se nada cabe."""
        if not self.question.timed or self.question.confidence != EVEN:
            return None
        return attempt(replace(self.asked, confidence=CONFIDENT))

    @cached_property
    def storage_plan(self) -> Json:
        return storage_plan_of(self.question, self.offer, self.nodes_final, self.concurrency,
                               self.served_nodes[2])

    @cached_property
    def physical(self) -> Json:
        return physical_of(self.question, self.nodes_final)

    @cached_property
    def costs(self) -> Json:
        per_node = (self.nominal or {}).get("output_tokens_per_second_per_node", 0)
        return costs_of(self.question, self.nodes_final, self.concurrency,
                        self.physical["energy_mwh_year"], self.nodes_final * per_node)


def size(q: Question, capacity: Capacity | None = None) -> SizingResult:
    """A oferta escolhida, a carga e os nós; `capacity`: a de `capacity_of(q)`, se já se tem.

    Levanta `SizingError`; `NothingFits` se nada cabe ou se a carga não cabe nos nós dados.
    """
    asked, asks = q, q.asks
    if asks == "context":
        q, capacity = longest_context(q), None
    if q.disaggregated == "auto":
        return size_either(asked, q)
    capacity = capacity or capacity_of(q)
    offers = ranked_offers(q, capacity)
    if q.disaggregated == "yes":
        return size_pools(asked, q, capacity, offers)
    offer, unit, limited = offers[0], offers[0].nodes_per_unit, q
    if asks == "sessions":
        q = replace(q, concurrency=max(1, offer.max_concurrency(q)))
    nodes_with_headroom = offer.nodes(q, q.peak_headroom_ratio)
    nodes_final = nodes_with_headroom + unit * q.ha_spares
    if q.nodes:
        if nodes_final > q.nodes:
            raise NothingFits(limited, "nodes", offers=offers, nodes_needed=nodes_final)
        nodes_final = q.nodes if asks == "load" else q.nodes // unit * unit
    units = nodes_final // unit - q.ha_spares  # as que levam o pico
    peak = offer.sessions_in_progress(q, offer.speed, q.peak_headroom_ratio, units)
    return SizingResult(
        asked=asked, question=q, asks=asks, capacity=capacity,
        offers=tuple([item for item in offers if item.nodes_per_unit == unit]),
        concurrency=offer.sessions_in_progress(q, offer.speed, 0, nodes_final // unit),
        peak_sessions=peak, spare_sessions=units * offer.sessions_per_unit - peak,
        nodes_minimum=offer.nodes(q, 0), nodes_with_headroom=nodes_with_headroom,
        nodes_final=nodes_final)


def size_either(asked: Question, q: Question) -> SizingResult:
    """A melhor resposta, com um lote de nós ou com dois; no empate, um."""
    modes = [replace(q, disaggregated=mode) for mode in ("no", "yes")]
    found = [r for r in map(attempt, modes) if r] or [size(modes[0])]  # que diz o que falta
    order = {"nodes": lambda r: r.nodes_final, "sessions": lambda r: -r.concurrency}
    best = min(found, key=order.get(q.asks, lambda r: 0))
    return replace(best, asked=asked, asks=asked.asks)


def measured_first(offers: Sequence[Offer]) -> Sequence[Offer]:
    """As de leiaute com medidas, se há: sem elas, um lote compraria menos por ser mais lento."""
    return [offer for offer in offers if offer.layout and offer.layout.measured] or offers


def pooled_offers(q: Question, capacity: Capacity, offers: Sequence[Offer]
                  ) -> tuple[list[Prefill], list[Offer]]:
    """Os leiautes de cada lote. Levanta `NothingFits` se nem uma sessão cumpre os objetivos."""
    prefills = [Prefill(q, offer.layout, speed_of(q, offer.layout, 0))
                for offer in measured_first(capacity.offers)
                if offer.layout and offer.layout.sessions_per_replica > 1]
    first = {tp: planned_first_seconds(q, tp, prefills) for tp in {
        offer.layout.tensor_parallel for offer in offers if offer.layout}}
    decodes = [replace(offer, first_seconds=first[offer.layout.tensor_parallel])
               for offer in measured_first(offers) if offer.layout]
    able = [offer for offer in decodes if offer.sessions_per_unit]
    if not able:
        raise prefill_refusal(q, decodes[0], prefills)
    return prefills, able


def pools_asked(q: Question, prefills: Sequence[Prefill], offers: Sequence[Offer]) -> Pools:
    """Os da carga, ou os dos nós dados. Levanta `NothingFits` se ela não cabe neles."""

    def pools_for(sessions: int | None) -> Pools:
        """O decode é o que sozinho compra menos nós: um mais lento pede menos prompts."""
        loaded = replace(q, concurrency=sessions)
        free = replace(loaded, nodes=None)
        offer = min(offers, key=lambda offer: offer.preference(free))
        return pools_choices(loaded, offer, prefills)[0]

    if not q.nodes:
        return pools_for(q.concurrency)
    given, sessions = q.nodes, q.concurrency
    if q.asks == "sessions":
        most = max([offer.max_concurrency(q) for offer in offers])
        sessions = max(1, largest(most, lambda number: pools_for(number).nodes[2] <= given))
    pools = pools_for(sessions)
    if pools.nodes[2] > given:
        raise NothingFits(q, "nodes", "%d × %s: a carga pede %d de prefill e %d de decode" % (
            given, q.server.name, pools.prefill_nodes[2], pools.decode_nodes[2]),
            offers=offers, nodes_needed=pools.nodes[2])
    return pools_within(pools, prefills, given)


def require_pools(asked: Question, q: Question, offers: Sequence[Offer]) -> None:
    """Levanta `SizingError` se não há rede ou prompt; `NothingFits` se em contexto algum cabe."""
    missing = lacking(q.server, "network_gbps_per_gpu")
    if not missing and not q.ends[0] and asked.asks == "context":  # nem com um token coube
        short = replace(asked, requested_context=2 * DEFAULT_OUTPUT_TOKENS)
        needed = getattr(attempt(replace(short, nodes=None)), "nodes_final", 0)
        raise NothingFits(short, "nodes", "%d × %s: em dois lotes esta carga não cabe, em contexto "
                          "algum" % (q.nodes or 0, q.server.name), offers=offers,
                          nodes_needed=needed)
    if missing or not q.ends[0]:
        raise SizingError("--disaggregated", missing_text(missing) or "o pedido não tem prompt")


def size_pools(asked: Question, q: Question, capacity: Capacity, offers: Sequence[Offer]
               ) -> SizingResult:
    """Com os dois lotes. Levanta `SizingError` se não há rede ou prompt, ou se nada cabe."""
    require_pools(asked, q, offers)
    prefills, offers = pooled_offers(q, capacity, offers)
    pools = pools_asked(q, prefills, offers)
    q, offer, unit = pools.question, pools.decode, pools.decode.nodes_per_unit
    up = pools.prefill_nodes[2], pools.decode_nodes[2]
    peak = pools.speed_and_case(0, q.peak_headroom_ratio, pools.loaded)[1]["sessions"]
    return SizingResult(
        asked=asked, question=q, asks=asked.asks, capacity=capacity,
        offers=(offer, *[item for item in offers if item.nodes_per_unit == unit
                         and item.layout is not offer.layout]),
        concurrency=pools.speed_and_case(0, 0, up)[1]["sessions"], peak_sessions=peak,
        spare_sessions=max(0, pools.sessions_carried(pools.loaded) - peak), pools=pools,
        **dict(zip(("nodes_minimum", "nodes_with_headroom", "nodes_final"), pools.nodes)))


def attempt(q: Question) -> SizingResult | None:
    try:
        return size(q)
    except SizingError:
        return None


def longest_context(q: Question) -> Question:
    """A pergunta com o maior contexto em que a carga cabe nos nós dados, ou o menor possível."""
    limit, missing = q.model.max_position_embeddings, missing_for_ceiling(q)
    require_speed(q, missing or missing_for_speed(q))

    def at(tokens: int) -> Question:
        return replace(q, requested_context=tokens)

    first = 1 + largest(limit - 1, lambda tokens: not at(tokens).request_fits)
    # De dois em dois: num contexto ímpar e curto a saída padrão é menor que a entrada.
    even = 2 * largest(limit // 2, lambda half: bool(attempt(at(2 * half))), (first - 1) // 2)
    if first <= even + 1 <= limit and attempt(at(even + 1)):
        return at(even + 1)
    return at(max(first, even))


# ── Apêndice: textos: como se escrevem números, tamanhos, durações, erros e linhas de 80 colunas

WIDTH = 80
GLUE = "\x00"  # um espaço em que a linha não se parte
MAX_DIGITS = 30  # algarismos de um número, e o maior expoente: a conta não explode


def exact_decimal(text: str) -> Fraction | None:
    """O valor exato; None se não é um número ou se passa de `MAX_DIGITS`.

    >>> exact_decimal("0.1"), exact_decimal("1e3"), exact_decimal("1e400"), exact_decimal("nan")
    (Fraction(1, 10), Fraction(1000, 1), None, None)
    """
    text = re.sub("(?<=[0-9])_(?=[0-9])", "", text)
    mantissa, _, exponent = text.lower().partition("e")
    digits = len(mantissa.strip("+-").replace(".", ""))
    if max(digits, len(exponent)) > MAX_DIGITS or set(text) - set("0123456789.eE+-"):
        return None
    try:
        return Fraction(text) if abs(int(exponent or 0)) <= MAX_DIGITS else None
    except ValueError:
        return None


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
    text = "%.*g" % (digits, float(value))
    return decimal_text(Fraction(text), 33) if "e-" in text else format(Decimal(text), "f")


def given_text(value: Exact | float) -> str:
    """O número todo, como uma flag o traz: arredondado, ficaria do outro lado de um limite.

    >>> given_text(Fraction(99999, 100000)), given_text(674.1), given_text(1e-7)
    ('0.99999', '674.1', '0.0000001')
    """
    exact = Fraction(repr(value)) if isinstance(value, float) else value
    return decimal_text(exact, 2 * MAX_DIGITS)


def cell_text(name: str, value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    if name == "checkpoint_bytes":
        return decimal_text(Fraction(value, GB), 1) + " GB"
    return decimal_text(value, 2)


def near_text(value: Exact | float, limit: Exact | float,
              write: Callable[[Any, int], str] = number_text, digits: int = 3) -> str:
    """`write` de um número com os algarismos que o distinguem do que ele passa, ou não alcança.

    >>> near_text(30.0004, 30), near_text(26.1, 30)
    ('30.0004', '26.1')
    """
    return write(value, next((n for n in range(digits, 17) if write(value, n) != write(limit, n)),
                             17))


def percent_text(ratio: Exact) -> str:
    return given_text(ratio * 100) + "%"


def money_text(value: Exact | float) -> str:
    """Centavos só abaixo de 1000."""
    if value >= 1000:
        return decimal_text(Fraction(value), 0)
    return decimal_text(Fraction(value), 2 if value >= 1 else 4)


def size_text(size_bytes: Exact, digits: int = 5) -> str:
    """Um tamanho com `digits` algarismos, abaixo de 1024 na sua unidade binária."""
    value, units = float(size_bytes), ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while abs(value) >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return "%s %s" % (number_text(value, digits), units[0])


def seconds_text(seconds: float) -> str:
    """Uma duração na unidade em que não passa de 120.

    >>> seconds_text(0.0123), seconds_text(111.73), seconds_text(200), seconds_text(9000)
    ('0.0123 s', '112 s', '3.33 min', '2.5 h')
    """
    if seconds <= 120:
        return number_text(seconds) + " s"
    if seconds <= 7200:
        return number_text(seconds / 60) + " min"
    return number_text(seconds / 3600) + " h"


def range_text(predicted: dict[str, float], digits: int = 2) -> str:
    """Previsto e faixa, de `digits` algarismos: `212 (160-300)`; milhares com k, milhões com M."""
    estimate, low, high = predicted["estimate"], predicted["low"], predicted["high"]
    divisor, unit = 1, ""
    if estimate >= 999.5:
        divisor, unit = (10**6, "M") if estimate >= 999500 else (1000, "k")
    if estimate < 1:
        return "%.2f (%.*f-%.*f)" % (estimate, digits, low, digits, high)
    return "%s%s (%s-%s)" % (number_text(estimate / divisor), unit,
                             number_text(low / divisor, digits),
                             number_text(high / divisor, digits))


def plural(count: int, one: str, many: str = "") -> str:
    """`1 nó`, `2 nós`; sem `many`, acrescenta um s."""
    return "%d %s" % (count, one if count == 1 else many or one + "s")


def sessions_text(count: int) -> str:
    return plural(count, "sessão", "sessões")


def unit_text(nodes_per_unit: int) -> str:
    return "nó" if nodes_per_unit == 1 else "%d nós" % nodes_per_unit


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


def one_line(text: str) -> str:
    """Com os caracteres de controle escapados."""
    return text if text.isprintable() else repr(text)[1:-1]


def shortened(text: str, most: int, end: int = 0) -> str:
    """Até `most` caracteres, os últimos `end` os do fim; os de controle, escapados."""
    if len(text) <= most:
        text = one_line(text)
    if len(text) <= most:
        return text
    start = one_line(text[:most])[:most - 3 - end]
    return start + "..." + (one_line(text[-end:])[-end:] if end else "")


def path_text(path: Path, most: int = 60) -> str:
    """("models", 0, "notes") é `models[0].notes`."""
    text = "".join("[%d]" % key if isinstance(key, int) else "." + shortened(key, most)
                   for key in path[:most]).lstrip(".")
    return shortened(text, most, most // 2)


def value_text(value: Any, most: int = 60) -> str:
    """Até `most` caracteres; listas e objetos, só o tipo."""
    if isinstance(value, dict):
        return "{…}"
    if isinstance(value, list):
        return "[…]"
    text = repr(value[:most]) if isinstance(value, str) else (
        json.dumps(value, default=given_text).strip('"'))
    return text if len(text) <= most else text[:most - 3] + "..."


MAX_QUOTED = 200  # caracteres de quem pergunta numa mensagem


def error_text(error: SizingError) -> str:
    """Uma linha: onde, o que foi lido e o que se espera."""
    text = shortened(error.where, MAX_QUOTED - 80, 80)
    left = MAX_QUOTED - len(text)
    if error.line:
        text += ", linha %d" % error.line
    if error.path:
        place = path_text(error.path)
        text, left = "%s, %s" % (text, place), left - len(place)
    if error.value is not ABSENT:
        text += (" = " if error.path else " ") + value_text(error.value, min(left, 60))
    return "%s: %s" % (text, error.expected)


def saying(error: SizingError, expected: str) -> SizingError:
    """O mesmo erro com outro texto."""
    other = copy.copy(error)
    other.expected = expected
    return other


REFUSALS = {  # da escolha que não serve para {model} em {server}; {allowed}: as que servem
    "--kv-precision": "o motor só serve {model} em {server} com KV em {allowed}",
    "--speculative-tokens": "falta no catálogo mtp, em {model}",
    "--acceptance-length": "espera-se de 1 a {allowed}, os tokens de um passo",
    "--max-num-seqs": "espera-se até {allowed}, os tokens por passo em {server} "
                      "(--max-num-batched-tokens)",
    "--tensor-parallel": "espera-se um destes, para {model} em {server}: {allowed}",
    "--pipeline-parallel": "espera-se um destes, para {model} em até %d nós de {server}: {allowed}"
                           % MAX_NODES_PER_REPLICA,
    "--effective-context": "uma sessão de {model} não guarda nada só seu no cache; espera-se um "
                           "contexto maior"}


NO_DEFAULT = "; só há padrão até %d rascunhados" % (len(ACCEPTANCE_LENGTHS) - 1)


def refusal(q: Question, flag: str, value: Any, allowed: Sequence[Any] = ()) -> SizingError:
    logged = q.engine_log and flag in q.engine_log.flags
    text = "é o que diz o log de --engine-log; " * bool(logged) + REFUSALS[flag]
    return SizingError(flag, text.format(
        model=q.model.name, server=q.server.name, allowed=", ".join(map(str, allowed)))
        + NO_DEFAULT * (value is ABSENT), value=value)


def pipeline_refusal(q: Question) -> SizingError:
    stages = [pp for pp in range(1, q.model.num_layers + 1) if pp == 1 or any(
        staged_replicas(replace(q, pipeline_parallel=pp), nodes)
        for nodes in range(1, MAX_NODES_PER_REPLICA + 1))]
    return refusal(q, "--pipeline-parallel", q.pipeline_parallel, stages)


LOG_REFUSALS = {
    "data_parallel": "data_parallel_size de {ranks} no log; para {model} em {server} com este tp, "
                     "espera-se {ways}",
    "gpu": "o log é de GPUs de {gpu}, e as de {server} têm {visible}",
    "memory": "pesos e KV do log somam {taken} por GPU, acima dos {usable} que "
              "--gpu-memory-utilization dá em {server}: confira as duas flags"}


def log_refusal(q: Question, log: EngineLog, what: str, ways: Sequence[int] = ()) -> SizingError:
    compared: dict[str, tuple[Exact, Exact]] = {
        "gpu visible": (log.gpu_bytes or 0, (q.server.hbm_usable_gib_per_gpu or 0) * GIB),
        "taken usable": ((log.weights_bytes or 0) + log.kv_capacity_bytes, q.usable_bytes)}
    sizes = {name: near_text(value, other, size_text, 5) for names, pair in compared.items()
             for name, value, other in zip(names.split(), pair, pair[::-1])}
    return SizingError("--engine-log", LOG_REFUSALS[what].format(
        model=q.model.name, server=q.server.name, ways=" ou ".join(map(str, ways[:3])),
        ranks=log.data_parallel or "tamanho não dito", **sizes), value=log.file)


def calibration_refusal(ms: float, sessions: int, layout: Layout, predicted_ms: float
                        ) -> SizingError:
    """De sessões demais para uma réplica ou, se cabem, de um TPOT absurdo."""
    most = layout.sessions_per_replica
    wrong = "o previsto é %s ms (%s): confira a unidade e a carga medida" % (
        number_text(predicted_ms), layout)
    if sessions > most:
        wrong = "espera-se até %s, o que uma réplica admite (%s)" % (sessions_text(most), layout)
    return SizingError("--calibrate-tpot-ms", wrong, value="%s@%d" % (given_text(ms), sessions))


def prefill_refusal(q: Question, offer: Offer, prefills: Sequence[Prefill]) -> NothingFits:
    """Se nenhum leiaute de prefill serve: o tempo que não se cumpre nem sem fila."""
    text = "nenhum leiaute de %s em %s guarda um prompt em cálculo e outro em envio" % (
        q.model.name, q.server.name)
    assert offer.speed
    full = max(1, offer.full_replica_sessions)
    missed = [time for time in (prefill.missed(offer.speed, full, 0.0) for prefill in prefills)
              if time]
    if missed:
        text = "%s fora do alcance com o prefill separado" % LIMITS[missed[0]]
    elif offer.speed.missed(q, 1):
        text = "com o prefill separado, nem uma sessão cumpre os objetivos"
    return NothingFits(q, "objectives", text, offers=[offer])


def missing_text(fields: Sequence[str]) -> str:
    verb = "falta" if len(fields) == 1 else "faltam"
    return "%s no catálogo %s" % (verb, ", ".join(fields)) if fields else ""


# ── Apêndice: blocos: results_of, objectives_of, nodes_other_end e by_context, que as visões leem

USUAL_CONTEXTS = tuple(1024 * 2**n for n in range(2, 11))  # da tabela da pergunta invertida


def gib(size_bytes: Exact) -> float:
    return rounded(size_bytes / GIB)


def results_of(r: SizingResult) -> Json:
    """A memória e os nós: bytes inteiros, GiB arredondados."""
    q, offer, kv_bytes = r.question, r.offer, kv_per_session_bytes(r.question)
    copies = r.units * offer.prefix_copies
    budget, total = kv_budget_bytes(q), kv_total_bytes(q, r.concurrency, copies)
    block = {
        "kv_per_session_gib": gib(kv_bytes), "kv_per_session_bytes": kv_bytes,
        "kv_total_tib": rounded(total / TIB), "kv_total_bytes": total,
        "kv_own_mean_bytes": json_number(mean_bytes(own_kv_sizes(q))),
        "shared_prefix_bytes": shared_prefix_bytes(q),
        "kv_budget_gib": gib(budget), "kv_budget_bytes": budget // 1,
        "sessions_per_node": offer.sessions_per_node,
        "sessions_per_unit": offer.sessions_per_unit, "nodes_per_unit": offer.nodes_per_unit,
        "limited_by": offer.limited_by, "peak_sessions": r.peak_sessions,
        "nodes_minimum": r.nodes_minimum, "nodes_with_headroom": r.nodes_with_headroom,
        "nodes_final": r.nodes_final}
    if r.asks == "sessions":
        block["max_concurrency"] = r.concurrency
    if r.asks == "context":
        block["max_context"] = q.effective_context
    return block


def by_context(q: Question) -> list[Json]:
    """As sessões que os nós mantêm nos contextos usuais; um TPOT medido vale num contexto só."""
    contexts = () if q.calibration else USUAL_CONTEXTS
    asked = [replace(q, concurrency=None, requested_context=context, context_mix=(),
                     requested_cached_tokens=None) for context in contexts
             if context <= q.model.max_position_embeddings]
    return [{"effective_context": item.effective_context,
             "max_concurrency": getattr(attempt(item), "concurrency", 0)}
            for item in asked if item.request_fits]


LOG_FIGURES = {  # nome no JSON → (como se diz, unidade)
    "weights_gib_per_gpu": ("pesos", " GiB"), "kv_capacity_gib_per_gpu": ("KV", " GiB"),
    "cuda_graphs_gib_per_gpu": ("grafos", " GiB"), "kv_tokens": ("cache", " tokens"),
    "max_concurrency": ("concorrência", "x"),
    "max_concurrency_of_logged_kv": ("concorrência com o KV do log", "x")}


def log_figures(q: Question, layout: Layout, log: EngineLog) -> list[Json]:
    """O que o log diz, por GPU ou por motor, e o previsto sem ele; None: não se sabe.

    A última linha prevê só a regra dos blocos, com o KV que o próprio log diz.
    """
    plain, length, logged = unlogged_layout(q, layout, log), log.max_model_len, log.max_concurrency
    blocks, tokens = plain.blocks, None
    pairs: dict[str, tuple[Any, Any]] = {}
    for name in ("weights", "kv_capacity", "cuda_graphs"):
        said = getattr(log, name + "_bytes")
        pairs[name + "_gib_per_gpu"] = (gib(getattr(plain, name + "_bytes")),
                                        None if said is None else gib(said))
    if length and logged is not None:
        reserved = blocks.of_session(length)[1]
        pairs["max_concurrency"] = Fraction(plain.kv_blocks, reserved), logged
        pairs["max_concurrency_of_logged_kv"] = (
            Fraction(log.kv_capacity_bytes // blocks.block_bytes, reserved), logged)
        # Desde o vLLM 0.21, a concorrência vezes o comprimento; antes, os de um grupo de camadas.
        tokens = pairs["max_concurrency"][0] * length // 1
        if abs((log.kv_tokens or 0) - logged * length) > Fraction(length, 100):
            tokens = plain.kv_blocks // len(blocks.groups) * min(
                [item.block_tokens for item in blocks.groups])
    pairs["kv_tokens"] = tokens, log.kv_tokens
    rows = []
    for name in LOG_FIGURES:
        predicted, said = pairs.get(name, (None, None))
        known = said is not None and (predicted or 0) > 0
        rows.append({"name": name, "predicted": json_number(predicted), "logged": json_number(said),
                     "ratio": rounded(said / predicted) if known else None})
    return rows


RATE = "output_tokens_per_second_per_"


def rate_of(case: Json, per: str) -> Json:
    """Tokens/s de cada `session` ou `node` numa carga: a previsão e a faixa."""
    return dict(case[RATE + per + "_range"], estimate=case[RATE + per])


def objective_of(name: str, limit: float, case: Json) -> Json:
    """Um objetivo numa das cargas; `at_risk`: o limite está dentro da faixa de 80%.

    Onde os nós não levam a carga toda, ele não se cumpre.
    """
    figure = rate_of(case, "session") if name == "tokens_per_second" else case[name]
    verdict, limit = "missed", rounded(limit)
    if figure:
        good, bad = figure["low"], figure["high"]
        if name == "tokens_per_second":  # mais é melhor
            good, bad, limit = -bad, -good, -limit
        if good <= limit and case["covered"]:
            verdict = "met" if bad <= limit else "at_risk"
    figure = figure or dict.fromkeys(("estimate", "low", "high"))
    return {"name": name, "limit": abs(limit), "state": case["state"], **figure,
            "verdict": verdict}


def stated_limits(q: Question) -> dict[str, float]:
    """Os objetivos como foram dados, com o nome do JSON."""
    limits = {"tpot_ms": q.max_tpot_ms, "tokens_per_second": q.min_tokens_per_second,
              "ttft_ms": q.max_ttft_ms, "ttft_p95_ms": q.max_ttft_p95_ms}
    return {name: limit for name, limit in limits.items() if limit}


def objectives_of(r: SizingResult) -> list[Json]:
    """Cada objetivo em cada estado da carga que ele julga."""
    return [objective_of(name, limit, case) for name, limit in stated_limits(r.question).items()
            for case in r.judged]


def promised_states(q: Question) -> tuple[str, ...]:
    """Os que a compra promete levar: o pico, com a reserva fora se há uma."""
    return ("nominal", "failure", "failure_peak") if q.ha_spares else ("nominal", "peak")


def shown_states(q: Question) -> tuple[str, ...]:
    return promised_states(q) if q.ha_spares else (*promised_states(q), "failure")


def shown_cases(r: SizingResult) -> list[Json]:
    return [case for case in r.performance if case["state"] in shown_states(r.question)]


def nodes_other_end(r: SizingResult) -> int | None:
    """Os nós com o prefixo em cache; None: a velocidade não os decide, ou nada cabe."""
    q, others = r.question, [offer.other_end for offer in r.offers if offer.other_end]
    if r.asks != "nodes" or not q.timed or not others:
        return None
    if r.pools:
        other = attempt(replace(r.asked, input_tokens=TURN_TOKENS, disaggregated="yes",
                                requested_context=q.effective_context))
        return other.nodes_final if other else None
    best = min(others, key=lambda offer: offer.preference(q))
    return best.nodes_with_spares(q) if best.sessions_per_unit else None


def pools_of_result(r: SizingResult) -> Json | None:
    """Os dois lotes e o que o outro modo compraria; None se não se perguntou."""
    if r.asked.disaggregated == "no":
        return None
    other, pools = r.other_mode, r.pools
    refused = isinstance(other, SizingError)
    block: Json = {
        "taken": bool(pools), "other_answer": None if refused else getattr(other, "answer", None),
        "other_refused": str(other) if refused else None}
    if not pools:
        return block
    prefill, decode, most = pools.prefill, pools.decode, pools.most_utilization
    rate, replicas = (pools.rate(prefill, 0, pools.decode_nodes[2]),
                      prefill.replicas(pools.prefill_nodes[2]))
    assert decode.speed
    counts = ("nodes_minimum", "nodes_with_headroom", "nodes_final")
    return {
        **block, "transfer_bytes": prefill.transfer_bytes[0],
        "transfer_seconds": rounded(prefill.transfer_seconds),
        "prefill": {
            **dict(zip(counts, pools.prefill_nodes)), "layout": str(prefill.layout),
            "nodes_per_unit": prefill.layout.nodes_per_unit, "replicas": replicas,
            "limited_by": "utilization" if most == PREFILL_UTILIZATION else prefill.missed(
                decode.speed, decode.full_replica_sessions, most + 0.001),
            "most_utilization": most, **{
                name: rounded(value) for name, value in (
                    ("prompts_per_second", rate),
                    ("utilization", rate / replicas * prefill.service_seconds),
                    ("service_seconds", prefill.service_seconds),
                    ("alone_seconds", prefill.speed.alone_seconds))}},
        "decode": {
            **dict(zip(counts, pools.decode_nodes)), "layout": str(decode.layout),
            "nodes_per_unit": decode.nodes_per_unit, "limited_by": decode.limited_by,
            "sessions_per_unit": decode.sessions_per_unit}}


# ── Apêndice: catálogos: load_catalogue, check_document, find_entry e as regras
#
# Também usados adiante: CATALOGUES, joined, names_of, name_key, fields_of, parse_json, nearest,
# closest, maybe e as regras.

Rule = Tuple[Callable[[Any], bool], str]  # (aceita o valor?, o que se espera dele)
Problem = Tuple[Path, Any, str]  # (caminho no documento, valor lido, o que se espera)

UNKNOWN_KEY = "chave desconhecida"
MAX_PROBLEMS = 100  # os que se listam de um arquivo; os outros se contam
MAX_ENTRIES, MAX_GROUPS = 4096, 512
NAME_PATTERN = re.compile("[A-Za-z0-9._/+-]{1,80}")
NAME_GAPS = re.compile(r"[\s_-]+")


def is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(NAME_PATTERN.fullmatch(value))


def is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def is_list_of(accepts: Callable[[Any], bool], value: Any) -> bool:
    return isinstance(value, list) and all(map(accepts, value))


FLAG: Rule = (lambda v: type(v) is bool, "true ou false")
COUNT: Rule = (is_count, "um inteiro positivo")
FEW: Rule = (lambda v: is_count(v) and v <= 4096, "um inteiro positivo até 4096")
QUANTITY: Rule = (lambda v: type(v) in (int, Fraction) and v > 0, "um número positivo")
CAPABILITY: Rule = (lambda v: type(v) in (int, Fraction) and 5 <= v <= 20,
                    "um número de 5 a 20, como 9.0 ou 10.3")
NAME: Rule = (is_name, "um nome de até 80 letras, dígitos, '.', '_', '/', '+' e '-'")
NAMES: Rule = (lambda v: is_list_of(is_name, v) and len(v) <= 100,
               "uma lista de nomes, de até 100")
LINE: Rule = (lambda v: is_text(v) and v.isprintable(), "um texto de uma linha, não vazio")
TEXT: Rule = (lambda v: is_text(v) or (bool(v) and is_list_of(is_text, v)),
              "um texto não vazio ou uma lista deles")
MTP: Rule = (lambda v: isinstance(v, dict), "um objeto com groups, dense_bytes e expert_bytes")
GROUPS: Rule = (lambda v: is_list_of(lambda group: isinstance(group, dict), v)
                and 0 < len(v) <= MAX_GROUPS,
                "uma lista de grupos de camadas, de até %d" % MAX_GROUPS)


def one_of(*choices: str) -> Rule:
    return (lambda v: isinstance(v, str) and v in choices), "um destes: " + ", ".join(choices)


def or_null(rule: Rule) -> Rule:
    accepts, expected = rule
    return (lambda v: v is None or accepts(v)), expected + " ou null"


# attention_pattern → os campos que ele pede; os outros destes têm de ser null.
PATTERNS: dict[str, tuple[str, ...]] = {
    "full": (), "sliding": ("sliding_window",),
    "hybrid": ("sliding_window", "hybrid_full_layers", "hybrid_sliding_layers"),
    "groups": ("groups",)}

# A regra de cada campo. Só pode faltar o que tem padrão na dataclass; onde o padrão é None, null
# diz o mesmo que faltar.
COMMON_RULES: dict[str, Rule] = {"name": NAME, "aliases": NAMES, "notes": TEXT, "source": TEXT}
MODEL_RULES: dict[str, Rule] = {
    **COMMON_RULES, "hf_id": NAME, "multimodal": FLAG, "launch_args": LINE, "assumed": LINE,
    "bidirectional_images": FLAG, "replicates_kv_heads": FLAG,
    "default_kv_precision": one_of(*KV_PRECISIONS), "native_precision": one_of(*WEIGHT_BITS),
    "num_layers": COUNT, "hidden_size": COUNT, "intermediate_size": COUNT, "vocab_size": COUNT,
    "max_position_embeddings": COUNT,
    # Atenção
    "num_attention_heads": COUNT, "num_key_value_heads": COUNT, "head_dim": COUNT,
    "qk_nope_head_dim": COUNT, "v_head_dim": COUNT, "index_n_heads": COUNT, "index_topk": COUNT,
    "attention_pattern": one_of(*PATTERNS), "groups": GROUPS, "sliding_window": COUNT,
    "hybrid_full_layers": COUNT, "hybrid_sliding_layers": COUNT,
    # Especialistas
    "moe_layers": COUNT, "num_experts": COUNT, "experts_per_token": COUNT,
    "moe_intermediate_size": COUNT,
    # Parâmetros e bytes
    "params_total": COUNT, "params_active": COUNT, "params_experts": COUNT,
    "params_embedding": COUNT, "checkpoint_bytes": COUNT, "weights_dense_bytes": COUNT,
    "weights_expert_bytes": COUNT, "weights_replicated_bytes": COUNT,
    "weights_source": one_of("safetensors", "index", "counted", "flag"),
    "mtp": MTP}  # as regras de dentro estão em MTP_RULES
MTP_RULES: dict[str, Rule] = {
    "groups": GROUPS, "dense_bytes": COUNT,
    "hf_id": (lambda v: v is ABSENT or NAME[0](v), NAME[1] + ", ou nada"),  # EAGLE3, à parte
    "expert_bytes": (lambda v: type(v) is int and v >= 0, "um inteiro de 0 em diante")}
SERVER_RULES: dict[str, Rule] = {
    **COMMON_RULES, "product": LINE, "gpu": LINE, "gpus": FEW, "compute_capability": CAPABILITY,
    "speed_measured": FLAG,
    "hbm_per_gpu_gb": QUANTITY, "total_hbm_gb": QUANTITY, "hbm_usable_gib_per_gpu": QUANTITY,
    "hbm_bandwidth_tbps": QUANTITY,
    "tflops_bf16": QUANTITY, "tflops_fp8": QUANTITY, "tflops_fp4": QUANTITY,
    "nvlink_bandwidth_tbps": QUANTITY, "nvlink_domain_gpus": COUNT,
    "pcie_bandwidth_gbps": QUANTITY, "network_gbps_per_gpu": QUANTITY, "system_memory_tb": QUANTITY,
    "power_kw": QUANTITY, "rack_units": COUNT, "heat_btu_h": COUNT,
    "max_num_seqs": COUNT, "max_num_batched_tokens": COUNT}
STORAGE_RULES: dict[str, Rule] = {
    **COMMON_RULES,
    "type": one_of("local", "network", "cloud"), "scope": one_of("node", "shared"),
    "iops_read": or_null(COUNT), "iops_write": or_null(COUNT),
    "throughput_read_gbps": QUANTITY, "throughput_write_gbps": or_null(QUANTITY),
    "latency_read_ms_p50": or_null(QUANTITY), "latency_write_ms_p50": or_null(QUANTITY),
    "latency_read_ms_p99": or_null(QUANTITY), "latency_write_ms_p99": or_null(QUANTITY)}


def model_contradictions(model: Model) -> Iterator[Problem]:
    yield from pattern_problems(model)
    yield from excess_problems(model)
    if model.experts_per_token and not model.num_experts:
        yield ("num_experts",), None, "espera-se um inteiro positivo com experts_per_token"
    total = model.params_total or 0
    if 0 < total < (model.params_experts or 0) + (model.params_embedding or 0):
        yield (("params_embedding",), model.params_embedding,
               "com params_experts passa de params_total, %d" % total)
    yield from group_problems(model.groups or (), model.num_layers)
    if model.mtp is not None:
        yield from mtp_problems(model.mtp)


def pattern_problems(model: Model) -> Iterator[Problem]:
    """Os campos que `attention_pattern` pede e faltam, ou que ele não tem e foram dados."""
    pattern = model.attention_pattern
    for name in (*PATTERNS["hybrid"], *PATTERNS["groups"]):
        value, needed = getattr(model, name), name in PATTERNS[pattern]
        if needed == (value is None):
            expected = MODEL_RULES[name][1] if needed else "null"
            yield ((name,), value,
                   "espera-se %s com attention_pattern %r" % (expected, pattern))
    layers = (model.hybrid_full_layers or 0) + (model.hybrid_sliding_layers or 0)
    if pattern == "hybrid" and layers != model.num_layers:
        yield (("hybrid_sliding_layers",), model.hybrid_sliding_layers,
               "hybrid_full_layers + hybrid_sliding_layers dá %d, espera-se num_layers %d"
               % (layers, model.num_layers))


# Campo → o que ele não pode passar.
BOUNDS = {"experts_per_token": "num_experts", "params_active": "params_total",
          "params_experts": "params_total", "params_embedding": "params_total",
          "moe_layers": "num_layers", "num_key_value_heads": "num_attention_heads"}


def excess_problems(model: Model) -> Iterator[Problem]:
    for name, bound in BOUNDS.items():
        value, limit = getattr(model, name), getattr(model, bound)
        if value and limit and value > limit:
            yield (name,), value, "espera-se até %s, %d" % (bound, limit)


GROUP_KIND = one_of(*KINDS)


# Somam-se a camadas já contadas.
RIDERS = ("indexer", "compressed", "compressed_indexer", "parallel_mamba2")


def group_problems(groups: Sequence[Json], num_layers: int) -> list[Problem]:
    """Os grupos malformados ou, se não há nenhum, a soma que não dá as camadas do modelo."""
    problems = list(malformed_groups(groups))
    if problems or not groups:
        return problems
    if all(group["kind"] == "none" for group in groups):
        return [(("groups",), ABSENT, "nenhum grupo guarda cache")]
    total = sum(group["layers"] for group in groups if group["kind"] not in RIDERS)
    if total != num_layers:
        return [(("groups",), total, "soma das camadas; espera-se num_layers, %d" % num_layers)]
    return []


def malformed_groups(groups: Sequence[Json]) -> Iterator[Problem]:
    for index, group in enumerate(groups):
        wrong, expected = group_mistakes(group)
        for key in wrong:
            yield ("groups", index, key), group.get(key), expected


def mtp_problems(mtp: Json) -> Iterator[Problem]:
    """O que está errado nas camadas que rascunham."""
    for name in mtp:
        if name not in MTP_RULES:
            yield ("mtp", name), ABSENT, UNKNOWN_KEY
    good = {}
    for name, (accepts, expected) in MTP_RULES.items():
        value = mtp.get(name, ABSENT)
        good[name] = accepts(value)
        if not good[name]:
            yield ("mtp", name), value, "espera-se " + expected
    if good["groups"]:
        for path, value, expected in malformed_groups(mtp["groups"]):
            yield ("mtp", *path), value, expected


def group_mistakes(group: Json) -> tuple[list[str], str]:
    """(as chaves erradas, o que se espera)."""
    known_kind, expected = GROUP_KIND
    if not known_kind(group.get("kind")):
        return ["kind"], "espera-se " + expected
    names = ("layers", *KINDS[group["kind"]][0])
    wrong = [key for key in group if key not in ("kind", *names)]
    wrong += [name for name in names if not is_group_number(name, group.get(name))]
    return wrong, "espera-se só kind e os inteiros positivos " + ", ".join(names)


def is_group_number(name: str, value: Any) -> bool:
    # v_dim 0: V é o próprio K; qk_rope_head_dim 0: MLA sem RoPE
    least = 0 if name in ("v_dim", "qk_rope_head_dim") else 1
    return type(value) is int and value >= least


def server_contradictions(server: Server) -> Iterator[Problem]:
    total, usable = server.gpus * server.hbm_per_gpu_gb, server.hbm_usable_gib_per_gpu
    if server.total_hbm_gb != total:
        yield (("total_hbm_gb",), server.total_hbm_gb,
               "espera-se gpus × hbm_per_gpu_gb = %s GB" % decimal_text(total, 6))
    if usable and usable > server.hbm_per_gpu_gb:
        yield (("hbm_usable_gib_per_gpu",), usable,
               "espera-se até hbm_per_gpu_gb, %s" % decimal_text(server.hbm_per_gpu_gb, 6))


def storage_contradictions(storage: Storage) -> Iterator[Problem]:
    for name in ("latency_read_ms_p", "latency_write_ms_p"):
        p50, p99 = getattr(storage, name + "50"), getattr(storage, name + "99")
        if p50 and p99 and p99 < p50:
            yield ((name + "99",), p99,
                   "espera-se ao menos a P50, %s ms" % decimal_text(p50, 6))


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Um dos arquivos: `{root: [entradas]}`."""

    entry_class: type[Any]
    root: str
    singular: str  # de uma entrada, nas mensagens
    rules: dict[str, Rule]
    contradictions: Callable[[Any], Iterator[Problem]]

    @cached_property
    def fields(self) -> tuple[dataclasses.Field[Any], ...]:
        """Os que o arquivo traz."""
        return tuple(field for field in dataclasses.fields(self.entry_class)
                     if field.name in self.rules)

    @property
    def field_names(self) -> list[str]:
        return [field.name for field in self.fields]


CATALOGUES = {
    "models": Catalogue(Model, "models", "modelo", MODEL_RULES, model_contradictions),
    "servers": Catalogue(Server, "servers", "servidor", SERVER_RULES, server_contradictions),
    "storage": Catalogue(Storage, "profiles", "perfil de storage", STORAGE_RULES,
                         storage_contradictions)}


def load_catalogue(kind: str, file: str, data: bytes,
                   names: Sequence[str] = ()) -> tuple[list[Any], list[SizingError]]:
    """As entradas boas de um catálogo e os problemas, na ordem das linhas.

    Com `names`, só as que eles nomeiam se conferem; todas, se isso não basta para achá-las.
    """
    try:
        document, text, repeats = parse_json(file, data)
    except SizingError as error:
        return [], [error]
    entries, problems = check_document(kind, document, places_of(kind, document, names))
    if not problems and not repeats:
        return entries, []
    listed = problems[:MAX_PROBLEMS]
    lines = lines_of(text, {place for path, _, _ in listed for place in (path, path[:-1])})
    errors = [SizingError(file, expected + likely_key(kind, path) * (expected == UNKNOWN_KEY),
                          value=value, path=path,  # a linha de um campo que falta é a da entrada
                          line=lines.get(path, lines.get(path[:-1])))
              for path, value, expected in listed]
    errors += islice(repeated_keys(file, text), MAX_PROBLEMS if repeats else 0)
    errors = sorted(errors, key=lambda error: error.line or 0)[:MAX_PROBLEMS]
    more = len(problems) + repeats - len(errors)
    if more:
        errors.append(SizingError(file, "e mais " + plural(more, "problema")))
        errors[-1].problems = more
    return entries, errors


def likely_key(kind: str, path: Path) -> str:
    """Sugestão para uma chave desconhecida de uma entrada."""
    known = list(MTP_RULES) if "mtp" in path[:-1] else CATALOGUES[kind].field_names
    return nearest(str(path[-1]), known) if len(path) > 1 else ""


def decoded_json(file: str, data: bytes, **hooks: Any) -> tuple[Any, str]:
    """(documento, texto), com os `hooks` de `json.loads`; levanta `SizingError`."""
    try:
        text = data.decode("utf-8-sig")
        return json.loads(text, **hooks), text
    except UnicodeDecodeError as error:
        wrong = "espera-se texto UTF-8; byte 0x%02x inválido" % error.object[error.start]
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SizingError(file, wrong, line=line) from None
    except json.JSONDecodeError as error:
        near = error.doc[error.pos:error.pos + 20].split("\n")[0]
        place = "perto de %r" % near if near else "no fim da linha"
        wrong = "JSON inválido na coluna %d, %s" % (error.colno, place)
        raise SizingError(file, wrong, line=error.lineno) from None
    except RecursionError:
        raise SizingError(file, "JSON inválido: aninhamento profundo demais") from None


MAX_JSON_PARTS = 500 * 1000


def parse_json(file: str, data: bytes) -> tuple[Any, str, int]:
    """(documento, texto, chaves repetidas); levanta `SizingError`.

    Os números são exatos; os fora dos limites viram float, que nenhuma regra aceita.
    """
    parts, repeats = count(1), 0

    def counted(part: Any) -> Any:
        if next(parts) > MAX_JSON_PARTS:
            raise SizingError(file, "o JSON passa de %d números e objetos" % MAX_JSON_PARTS)
        return part

    def to_dict(pairs: list[tuple[str, Any]]) -> Json:
        nonlocal repeats
        mapping = dict(counted(pairs))
        repeats += len(pairs) - len(mapping)
        return mapping

    def exact(digits: str) -> Any:
        number = exact_decimal(counted(digits))
        return float(digits) if number is None else number

    document, text = decoded_json(
        file, data, object_pairs_hook=to_dict, parse_constant=float, parse_float=exact,
        parse_int=lambda digits: counted(
            int(digits) if len(digits) <= MAX_DIGITS else float(digits)))
    return document, text, repeats


def json_positions(text: str) -> Iterator[tuple[list[Any], int]]:
    """(caminho, linha) de cada valor de um JSON válido, na ordem do texto.

    O caminho é um só, que muda de um valor para o outro: copiar todos custaria a profundidade.

    >>> [(tuple(place), line) for place, line in json_positions('{"a": [1,\\n 2]}')]
    [((), 1), (('a',), 1), (('a', 0), 1), (('a', 1), 2)]
    """
    place: list[Any] = []  # em cada nível aberto, o índice ou a chave (None: ainda não lida)
    line, last = 1, 0
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', text):
        token = match.group()
        line += text.count("\n", last, match.start())
        last = match.start()
        if token in "}]":
            place.pop()
        elif token == ",":
            place[-1] = place[-1] + 1 if isinstance(place[-1], int) else None
        elif place and place[-1] is None:
            place[-1] = json.loads(token)
        elif token != ":":
            yield place, line
            if token in "{[":
                place.append(None if token == "{" else 0)


def lines_of(text: str, places: set[Path]) -> dict[Path, int]:
    """A linha de cada um destes valores; o de uma chave repetida, o último."""
    deepest = max(map(len, places), default=0)
    return {tuple(place): line for place, line in json_positions(text)
            if len(place) <= deepest and tuple(place) in places}


def repeated_keys(file: str, text: str) -> Iterator[SizingError]:
    """Cada chave já usada no mesmo objeto; vale a última."""
    seen: list[dict[str, int]] = []  # em cada nível aberto, as chaves já lidas
    for place, line in json_positions(text):
        del seen[len(place):]  # o que há dentro do valor anterior já passou
        if len(seen) < len(place):
            seen.append({})
        key = place[-1] if place else 0
        if isinstance(key, str):
            first = seen[-1].get(key)
            if first:
                expected = "chave repetida, já usada na linha %d" % first
                yield SizingError(file, expected, path=tuple(place), line=line)
            seen[-1][key] = first or line


def places_of(kind: str, document: Any, names: Sequence[str]) -> set[int] | None:
    """Os índices das entradas com estes nomes; None se um deles falta ou algum nome se repete."""
    wanted = set(map(name_key, names))
    owners: dict[str, int] = {}
    try:
        for index, raw in enumerate(document[CATALOGUES[kind].root]):
            for name in (raw["name"], *raw.get("aliases", ()), raw.get("hf_id") or raw["name"]):
                if owners.setdefault(name_key(name), index) != index:
                    return None
    except (AttributeError, KeyError, TypeError):  # malformado: que se confira inteiro
        return None
    return {owners[name] for name in wanted} if wanted and wanted <= owners.keys() else None


def check_document(kind: str, document: Any,
                   places: set[int] | None = None) -> tuple[list[Any], list[Problem]]:
    """(as entradas boas, os problemas) de um documento já lido; só destes índices, se dados."""
    root = CATALOGUES[kind].root
    if not isinstance(document, dict) or root not in document:
        return [], [((), ABSENT, 'espera-se um objeto {"%s": […]}' % root)]
    problems: list[Problem] = [((key,), ABSENT, "chave desconhecida, espera-se só %r" % root)
                               for key in document if key != root]
    raws = document[root]
    if not isinstance(raws, list) or not 0 < len(raws) <= MAX_ENTRIES:
        return [], [*problems, ((root,), raws, "espera-se uma lista com entradas, até %d"
                                % MAX_ENTRIES)]
    entries: list[Any] = []
    owners: dict[str, str] = {}  # nome → o lugar da entrada que o tem
    for index, raw in enumerate(raws):
        if places is not None and index not in places:
            continue
        entry, found = check_entry(CATALOGUES[kind], raw)
        problems += [((root, index, *path), value, expected) for path, value, expected in found]
        if entry is not None:
            entries.append(entry)
            problems += repeated_names(entry, (root, index), owners)
    return entries, problems


def repeated_names(entry: Any, place: Path, owners: dict[str, str]) -> Iterator[Problem]:
    """Os nomes que já estão em `owners`; todos passam a ser desta entrada."""
    own = path_text(place)
    for name in names_of(entry):
        key = name_key(name)
        if key in owners:
            yield place, ABSENT, "nome repetido: %r já é de %s" % (name, owners[key])
        owners[key] = own


def check_entry(catalogue: Catalogue, raw: Any) -> tuple[Any, list[Problem]]:
    """A entrada (None se há problemas) e os seus problemas."""
    if not isinstance(raw, dict):
        return None, [((), raw, "espera-se um objeto {…} com os campos da entrada")]
    unknown: list[Problem] = [
        ((key,), ABSENT, UNKNOWN_KEY) for key in raw if key not in catalogue.rules]
    values, wrong = check_fields(catalogue, raw)
    if wrong:
        return None, unknown + wrong
    entry = catalogue.entry_class(**values)
    problems = unknown + list(catalogue.contradictions(entry))
    return (None if problems else entry), problems


def check_fields(catalogue: Catalogue, raw: Json) -> tuple[Json, list[Problem]]:
    """(os valores aceitos, os campos que faltam ou que a regra não aceita)."""
    values: Json = {}
    wrong: list[Problem] = []
    for field in catalogue.fields:
        name, (accepts, expected) = field.name, catalogue.rules[field.name]
        value = raw.get(name, field.default)
        if value is dataclasses.MISSING:
            wrong.append(((), ABSENT, "falta o campo %r: %s" % (name, expected)))
        elif value is field.default or accepts(value):
            values[name] = tuple(value) if isinstance(value, list) else value
        else:
            wrong.append(((name,), value, "espera-se " + expected))
    return values, wrong


def names_of(entry: Any) -> tuple[str, ...]:
    """O nome, os apelidos e o id no Hugging Face, se há um."""
    hf_id = getattr(entry, "hf_id", None)
    return (entry.name, *entry.aliases, *([hf_id] if hf_id else []))


def name_key(name: str) -> str:
    """Como os nomes se comparam: sem caixa, com brancos, hífens e `_` iguais.

    >>> name_key(" DGX  H200 "), name_key("profile_default")
    ('dgx-h200', 'profile-default')
    """
    return NAME_GAPS.sub("-", name.strip().lower())


def nearest(word: str, known: Sequence[str]) -> str:
    """Sugestão para uma mensagem: ` (talvez 'x')`, ou nada."""
    return maybe([closest(word, known)])


def closest(word: str, known: Sequence[str]) -> str:
    """O que começa com a palavra, ou se parece com ela; vazio se nada."""
    from difflib import get_close_matches  # só quando algo deu errado

    word = word[:80].lower()
    close = [name for name in known if len(word) > 3 and name.startswith(word)]
    return (close + get_close_matches(word, known, 1) + [""])[0]


def maybe(names: Sequence[str]) -> str:
    return " (talvez %s)" % either(["%r" % name for name in names]) if any(names) else ""


def fields_of(entry: Any) -> Json:
    """Os campos de uma dataclass, por nome."""
    return {name: getattr(entry, name) for name in entry.__dataclass_fields__}


def joined(file: str, yours: Sequence[Any], shipped: Sequence[Any]) -> list[Any]:
    """As entradas de um arquivo dado e, depois delas, as de fábrica; de um nome, vale a dada.

    A de fábrica com um nome dado sai; a que só tinha o apelido o perde. `overrides` fica nas dadas
    que mudam o que um nome de fábrica quer dizer.
    """
    taken = {name_key(name) for entry in yours for name in names_of(entry)}
    owners = {name_key(name): fields_of(entry) for entry in shipped for name in names_of(entry)}
    marked = []
    for entry in yours:
        fields = fields_of(entry)
        changed = any(owners.get(name_key(name), fields) != fields for name in names_of(entry))
        marked.append(replace(entry, overrides=file) if changed else entry)
    return marked + [
        replace(entry, aliases=tuple(name for name in entry.aliases if name_key(name) not in taken))
        for entry in shipped if name_key(entry.name) not in taken]


def product_names(entry: Any) -> tuple[str, ...]:
    product_name = getattr(entry, "product", None)
    return (product_name,) if product_name else ()


def gpu_names(entry: Any) -> tuple[str, ...]:
    """De `NVIDIA H200 SXM`: o texto, `H200` e `H200 SXM`."""
    text = getattr(entry, "gpu", None)
    if not text:
        return ()
    words = text.replace("NVIDIA ", "").split()
    return (text, *(" ".join(words[:count + 1]) for count in range(len(words))))


def find_entry(kind: str, flag: str, name: str, entries: Sequence[Any]) -> Any:
    """A entrada com este nome, apelido, hf_id, produto ou GPU; levanta `SizingError`.

    Uma GPU de vários servidores é a do DGX, se ele é um só.
    """
    key = name_key(name)
    for names_by in (names_of, product_names, gpu_names):
        found = [entry for entry in entries if key in map(name_key, names_by(entry))]
        if len(found) > 1 and names_by is not names_of:
            boxes = [entry for entry in found if (entry.product or "").startswith("DGX ")]
            found = boxes if len(boxes) == 1 else found
            if len(found) > 1:
                names = [entry.name for entry in found[:MAX_NEAR_NAMES]]
                raise SizingError(flag, "é de mais de um %s: escolha %s" % (
                    CATALOGUES[kind].singular, either(names)), value=name)
        if found:
            return found[0]
    raise SizingError(flag, "%s fora do catálogo%s; --list %s mostra todos" % (
        CATALOGUES[kind].singular, near_names(name, entries), kind), value=name)


def near_names(name: str, entries: Sequence[Any]) -> str:
    """As entradas que têm todas as palavras do nome, ou a de nome mais parecido."""
    words = name_words(name)
    close = [entry.name for entry in entries if words and words <= name_words(" ".join(
        (*names_of(entry), *product_names(entry), *gpu_names(entry))))]
    if close:  # sem os que só acrescentam algo a outro, como a precisão
        base = [name for name in close if not any(name.startswith(short + "-") for short in close)]
        return maybe(base[:MAX_NEAR_NAMES])
    known = chain.from_iterable(map(names_of, entries))
    return nearest(name_key(name), list(map(str.lower, known)))


MAX_NEAR_NAMES = 4


def name_words(name: str) -> set[str]:
    """Palavras e números.

    >>> sorted(name_words("Llama-3.3 70B"))
    ['3.3', '70', 'b', 'llama']
    """
    return set(re.findall(r"[a-z]+|[0-9]+(?:\.[0-9]+)*", name.lower()))


def either(names: Sequence[str]) -> str:
    """`a`, `a ou b`, `a, b ou c`."""
    return " ou ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


# ── Apêndice: config.json: HfConfig, um objeto de que todo campo lido é conferido

# Campo, como esta seção o chama → os nomes que tem nos config.json: vale o primeiro não nulo. O que
# não está aqui só tem o próprio nome, como o head_dim e o sliding_window do DeepSeek V4.
HF_ALIASES = {field: names.split() for field, names in {
    "bits": "bits w_bit",
    "decoder_sparse_step": "decoder_sparse_step interleave_moe_layer_step moe_layer_interval "
                           "expert_layer_period",
    "dense_intermediate_size": "intermediate_size_mlp dense_intermediate_size "
                               "prefix_dense_intermediate_size intermediate_size",
    "expert_layers": "moe_layers_enum moe_layers",
    "ffn_intermediate_size": "intermediate_size block_ff_dim ffn_hidden_size n_inner",
    "first_k_dense_replace": "first_k_dense_replace num_dense_layers moe_layer_start_index",
    "head_dim": "head_dim attention_head_dim kv_channels",
    "group_size": "group_size q_group_size",
    "hidden_size": "hidden_size n_embd d_model",
    "kda_conv_kernel_dim": "linear_conv_kernel_dim short_conv_kernel_size",
    "kda_head_dim": "linear_head_dim head_dim",
    "kda_num_heads": "linear_num_heads num_attention_heads",
    "layer_period": "_sliding_window_pattern sliding_window_pattern",
    "index_head_dim": "index_head_dim sparse_index_dim",
    "index_n_heads": "index_n_heads sparse_num_index_heads",
    "mamba_conv_kernel": "conv_kernel mamba_d_conv",
    "mamba_dt_rank": "mamba_dt_rank time_step_rank",
    "mamba_expand": "mamba_expand expand",
    "mamba_head_dim": "mamba_head_dim mamba_d_head mamba_headdim",
    "mamba_num_groups": "n_groups mamba_n_groups mamba_ngroups",
    "mamba_num_heads": "mamba_num_heads mamba_n_heads n_mamba_heads num_heads",
    "mamba_ssm_dtype": "mamba_ssm_cache_dtype mamba_ssm_dtype",
    "mamba_state_size": "ssm_state_size mamba_d_state state_size",
    "max_position_embeddings": "max_position_embeddings n_positions max_seq_len model_max_length",
    "mla_head_dim": "qk_rope_head_dim head_dim",
    "moe_intermediate_size": "moe_intermediate_size expert_ffn_hidden_size",
    "moe_latent_size": "moe_latent_size moe_hidden_size routed_expert_hidden_size",
    "num_attention_heads": "num_attention_heads_per_layer num_attention_heads n_head n_heads "
                           "num_heads",
    "num_experts": "n_routed_experts num_experts num_local_experts moe_num_experts",
    "num_experts_per_tok":
        "num_experts_per_tok num_experts_per_token experts_per_token top_k_experts moe_k moe_topk "
        "moe_top_k",
    "num_key_value_heads": "num_key_value_heads num_kv_heads num_attention_groups",
    "swa_num_attention_heads": "swa_num_attention_heads num_sliding_attention_heads",
    "num_layers": "num_hidden_layers num_layers n_layer",
    "mtp_layer_types": "mtp_layers_block_type mtp_hybrid_override_pattern",
    "num_mtp_layers": "num_nextn_predict_layers mtp_num_hidden_layers num_mtp_layers",
    "num_shared_experts": "n_shared_experts num_shared_experts moe_num_shared_experts",
    "share_expert_dim": "share_expert_dim share_expert_dims",
    "torch_dtype": "torch_dtype dtype",
    "tie_word_embeddings": "tie_word_embeddings tie_embedding",
    "vt_hidden_size": "vt_hidden_size hidden_size",
    "vt_intermediate_size": "vt_intermediate_size intermediate_size",
    "vt_num_hidden_layers": "vt_num_hidden_layers num_hidden_layers",
    "window": "sliding_window_size sliding_window",
}.items()}

MAX_FIELDS = 1000
LIST: Rule = (lambda v: isinstance(v, list), "uma lista")
INDICES: Rule = (lambda v: is_list_of(lambda i: type(i) is int, v), "uma lista de inteiros")
FACTOR: Rule = (lambda v: type(v) in (int, Fraction) and 0 < v < 10**4, "um número positivo")
DTYPE = one_of("bfloat16", "float16", "half", "float32", "auto")
TORCH_DTYPE: Rule = (lambda v: DTYPE[0](str(v).replace("torch.", "")), DTYPE[1])


@dataclass(frozen=True, eq=False)
class HfConfig:
    """Um objeto de um config.json: toda leitura confere o valor e anota os nomes em `read`."""

    file: str
    data: Json
    path: Path = ()
    read: set[str] = dataclasses.field(default_factory=set)
    index: int | None = None  # da camada a que se refere, se de uma só

    def __post_init__(self) -> None:
        if not isinstance(self.data, dict):
            raise SizingError(self.file, "espera-se um objeto JSON", path=self.path)

    def fail(self, name: str, expected: str) -> SizingError:
        return SizingError(self.file, "espera-se " + expected, path=(*self.path, name),
                           value=self.data.get(name, ABSENT))

    def named(self, field: str) -> tuple[str, Any]:
        """(o nome que o campo tem aqui, o valor); sem valor, o primeiro nome e None."""
        names = self.names(field)
        for name in names:
            if self.data.get(name) is not None:
                return name, self.data[name]
        return names[0], None

    def fill(self, defaults: Json) -> None:
        """Põe os padrões da classe nos campos que o config.json não traz, nem nulos."""
        for field, value in defaults.items():
            if not any(name in self.data for name in self.names(field)):
                self.data[field] = value

    def names(self, field: str) -> Sequence[str]:
        """Os nomes que um campo pode ter; quem os pede conhece o campo."""
        names = HF_ALIASES.get(field, [field])
        self.read.update(names)
        return names

    def at_layer(self, i: int) -> HfConfig:
        """O config como vale na camada `i`: os valores dela em listas e em per_layer_config."""
        own = self.child("per_layer_config").data
        key = next((key for key in (str(i), "%02d" % i, "%03d" % i) if key in own), None)
        override = {} if key is None else self.child("per_layer_config").child(key).data
        return replace(self, data={**self.data, **override}, index=i)

    def get(self, field: str, rule: Rule, default: Any = ABSENT) -> Any:
        """O valor de um campo, que só com `default` pode faltar."""
        name, value = self.named(field)
        if value is None and default is not ABSENT:
            return default
        accepts, expected = rule
        if not accepts(value):
            raise self.fail(name, expected)
        return value

    def count(self, field: str, default: Any = ABSENT, low: int = 1, high: int = 10**8) -> int:
        name, value = self.named(field)
        if isinstance(value, list) and self.index is not None:  # um valor por camada
            value = value[self.index] if self.index < len(value) else ABSENT
        if value is None and default is not ABSENT:
            value = default
        elif type(value) is not int or not low <= value <= high:
            raise self.fail(name, "um inteiro de %d a %d" % (low, high))
        return int(value)

    def flag(self, field: str) -> bool:
        return bool(self.get(field, FLAG, False))

    def few(self) -> HfConfig:
        """O próprio, se não tem campos demais: em alguns, cada um custa uma regra ou uma cópia."""
        if len(self.data) > MAX_FIELDS:
            raise SizingError(self.file, "espera-se um objeto de até %d campos" % MAX_FIELDS,
                              path=self.path)
        return self

    def sequence(self, field: str) -> Sequence[Any]:
        items: Sequence[Any] = self.get(field, LIST, [])
        return items

    def dtype_bits(self, field: str) -> int:
        """Bits de um tipo de dado; sem ele, bf16."""
        dtype = self.get(field, TORCH_DTYPE, "")
        return 32 if dtype.endswith("float32") else 16

    def child(self, name: str) -> HfConfig:
        """Um objeto aninhado, ou um vazio."""
        self.read.add(name)
        value = self.data.get(name)
        return HfConfig(self.file, {} if value is None else value, (*self.path, name))


# ── Apêndice: quantização: Quantization, como se guarda cada módulo


@dataclass(frozen=True, eq=False)
class WeightFormat:
    """Como se guardam os pesos de um módulo."""

    precision: str
    bits: Exact  # por parâmetro, com as escalas


# Os módulos que a quantização deixa como estão, a não ser que os nomeie por inteiro: não são
# lineares (embedding, normas, convolução) ou são o roteador, portas e projeções pequenas.
HF_UNQUANTIZED = re.compile(
    r"embed|norm|conv|A_log|\.hc$|altup|\.mlp\.gate$|shared_expert_gate$|weights_proj$|eh_proj$|"
    r"\.fc$|shared_head")
# Antes do nome de um módulo de texto, nas listas da quantização.
HF_PREFIXES = ("", "model.", "model.language_model.", "language_model.model.", "language_model.",
               "backbone.", "thinker.model.")
HF_PREFIX = re.compile(r"((model|language_model|backbone|text_model|transformer|thinker)\.)+")
# Parte de um nome nessas listas, de cada família ou de projeções fundidas → as partes que cita.
HF_MODULE_WORDS = {word: names.split() for words, names in {
    "block_sparse_moe feed_forward ffn moe": "mlp",
    "mixer": "self_attn mamba mlp",
    "attn attention self_attention": "self_attn linear_attn",
    "shared_expert shared_mlp share_expert": "shared_experts",
    "w1": "gate_proj", "w2": "down_proj", "w3": "up_proj",
    "wq_a": "q_a_proj", "wq_b": "q_b_proj", "wo_a": "o_a_proj", "wo_b": "o_b_proj",
    "wkv": "kv_proj", "index_q_proj": "indexer.wq_b", "index_k_proj": "indexer.wk",
    "gate_up_proj": "gate_proj up_proj", "qkv_proj": "q_proj k_proj v_proj",
    "fused_qkv_a_proj": "q_a_proj kv_a_proj_with_mqa",
    "in_proj_qkvz": "in_proj_qkv in_proj_z", "in_proj_ba": "in_proj_b in_proj_a",
    "head embed_out output_layer": "lm_head",
    "embed embeddings wte tok_embeddings": "embed_tokens",
}.items() for word in words.split()}
HF_MODULE_WORD = re.compile(r"(?<![\\\w])(%s)(?!\w)" % "|".join(HF_MODULE_WORDS))
HF_NUMBERED = {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}
HF_EXPERT = re.compile(r"(.*\.experts)\.(\d{1,6})(\..*|$)")
HF_GLOB = re.compile(r"[*?\\^$()|+\[]")
# Começo do model_type → (nome canônico, o da família): na Gemma 4 o `mlp` é outra FFN da camada; na
# Kimi e na MiniMax a atenção linear tem o nome da outra.
HF_RENAMED = {"gemma4": (".mlp.experts", ".experts"), "kimi": (".linear_attn", ".self_attn"),
              "minimax": (".linear_attn", ".self_attn")}


@dataclass(frozen=True, eq=False)
class Spelling:
    """Um módulo, com os nomes pelos quais uma lista ou um padrão pode citá-lo."""

    module: str
    full: frozenset[str]
    parts: frozenset[str]  # toda sequência de partes dos nomes
    texts: Sequence[str]  # o que um padrão lê


def spelled(module: str, num_layers: int, renamed: tuple[str, str]) -> Spelling:
    """`num_layers` são as camadas antes das MTP."""
    names = [module.replace(*renamed)]
    layer = re.match(r"layers\.(\d+)\.(.*)", names[0])
    drafts = []
    if layer and 0 < num_layers <= int(layer[1]):
        draft = "%d.%s" % (int(layer[1]) - num_layers, layer[2])
        names, drafts = [*names, "mtp." + draft], ["mtp.layers." + draft]
    names += [name.replace(".experts.0.", ".experts.") for name in names]
    numbered = [re.sub("[a-z]+_proj$", lambda leaf: HF_NUMBERED.get(leaf[0], leaf[0]), name)
                for name in names if ".experts." in name]
    # um módulo de fora do decodificador só se cita do começo do nome, que lá é outro
    starts = len(module) if re.match(r"layers\.\d|lm_head$|embed_tokens$", module) else 1
    parts = {".".join(words[start:end]) for words in (name.split(".") for name in names)
             for start in range(min(starts, len(words)))
             for end in range(start + 1, len(words) + 1)}
    return Spelling(module, frozenset(names), frozenset(parts),
                    [prefix + text for text in (*names, *drafts, *numbered)
                     for prefix in HF_PREFIXES])


@dataclass(frozen=True, eq=False)
class ModuleList:
    """Os módulos que uma lista cita: por nome, ou pelo de um módulo que os contém, e por padrão."""

    names: frozenset[str]
    patterns: Sequence[re.Pattern[str]] = ()

    def cite(self, spelling: Spelling) -> bool:
        if not self.names.isdisjoint(spelling.full):
            return True
        if HF_UNQUANTIZED.search(spelling.module):
            return False
        return not self.names.isdisjoint(spelling.parts) or any(
            pattern.match(text) for pattern in self.patterns for text in spelling.texts)


DECODER_MODULES = ModuleList(frozenset(["layers"]))
EXPERT_MODULES = ModuleList(frozenset(["experts"]))
# Classe, entre os alvos da compressed-tensors → os módulos.
HF_CLASSES = {"Linear": ("layers", "lm_head"), "LinearBase": ("layers", "lm_head"),
              "Embedding": ("embed_tokens",), "ParallelLMHead": ("lm_head",),
              "FusedMoE": ("experts",), "RoutedExperts": ("experts",)}


def module_names(entry: str) -> Iterator[str]:
    """Os nomes canônicos que uma entrada sem padrões pode citar."""
    name = HF_PREFIX.sub("", entry.strip("."), 1).replace("mtp.layers.", "mtp.")
    name = re.sub(r"\.(weight|bias)$", "", name)
    options = [[word, *HF_MODULE_WORDS.get(word, ())] for word in name.split(".")]
    return map(".".join, product(*options))


def module_pattern(entry: str) -> str:
    """A expressão regular de um padrão: `re:…`, uma expressão sem marca ou nomes com `*`."""
    text = entry[3:] if entry.startswith("re:") else entry
    if text is entry and not re.search(r"[\\^$()|+\[]", entry):
        text = r"%s(\..*)?$" % re.escape(entry).replace(r"\*", ".*").replace(r"\?", ".")
    return HF_MODULE_WORD.sub(
        lambda word: "(?:%s)" % "|".join([word[0], *HF_MODULE_WORDS[word[0]]]), text)


def without_globs(entry: str) -> str:
    """`*.X.*` e `X*` citam o módulo X com o que ele contém, como um nome; `*` no meio fica."""
    inside = re.sub(r"\.?\*$", "", entry)
    return inside[2:] if inside.startswith("*.") else inside


def module_entry(source: HfConfig, field: str, entry: Any) -> str:
    """Uma entrada de uma lista de módulos; o limite é o que se pode expandir em nomes."""
    words = entry.split(".") if isinstance(entry, str) else []
    if not "".join(words).strip("*") or len(entry) > 300 or sum(
            word in HF_MODULE_WORDS for word in words) > 6:
        raise source.fail(field, "nomes de módulos")
    if re.match(r"[A-Z]\w*$", entry) and entry not in HF_CLASSES and not entry.endswith("Experts"):
        raise SizingError(source.file, "classe de módulo que não é entendida",
                          path=(*source.path, field), value=entry)
    return entry if entry.startswith("re:") else without_globs(entry)


MAX_NAMES = 10**6


def modules_of(source: HfConfig, field: str, entries: Iterable[Any], experts: int) -> ModuleList:
    """`field` é onde estão as entradas; os especialistas de uma camada se citam todos ou nenhum."""
    names: set[str] = set()
    patterns: set[str] = set()
    cited: dict[str, set[int]] = {}  # nome sem o número do especialista → os citados
    for item in entries:
        entry = module_entry(source, field, item)
        one = HF_EXPERT.match(entry)
        if one:
            cited.setdefault(one[1] + one[3], set()).add(int(one[2]))
        if entry in HF_CLASSES or re.match(r"[A-Z]\w*$", entry):
            names.update(HF_CLASSES.get(entry, ("experts",)))
        elif entry.startswith("re:") or HF_GLOB.search(entry):
            patterns.add(module_pattern(entry))
        elif not one or int(one[2]) == 0:
            names.update(module_names(entry))
        if len(names) > MAX_NAMES:
            raise source.fail(field, "módulos com até %d nomes" % MAX_NAMES)
    if any(len(which) != (experts or len(which)) or max(which) >= len(which)
           for which in cited.values()):
        raise source.fail(field, "todos os especialistas de uma camada, ou nenhum")
    # um padrão que repete um grupo, ou repete demais, pode não terminar
    if any(re.search(r"\)[*+{]", text) or len(re.findall(r"[*+}]", text)) > 6 for text in patterns):
        raise source.fail(field, "padrões sem grupos repetidos e com até 6 repetições")
    try:
        return ModuleList(frozenset(names), [re.compile(text) for text in sorted(patterns)])
    except (re.error, OverflowError, RecursionError):
        raise source.fail(field, "nomes de módulos e expressões regulares válidas") from None


FormatRule = Tuple[ModuleList, WeightFormat]  # vale a primeira que cita o módulo


@dataclass(frozen=True, eq=False)
class Quantization:
    """Como o checkpoint guarda cada módulo, pelo nome canônico.

    `experts_by_layer`, se não é vazio, tem os especialistas que a poda deixou em cada camada.
    """

    plain: WeightFormat  # do que nenhuma regra cita
    rules: Sequence[FormatRule]
    num_layers: int = 0  # da seguinte em diante são MTP
    renamed: tuple[str, str] = ("", "")  # um valor de HF_RENAMED
    experts_by_layer: Sequence[int | None] = ()

    def format_of(self, module: str) -> WeightFormat:
        if not self.rules:
            return self.plain
        spelling = spelled(module, self.num_layers, self.renamed)
        return next((form for modules, form in self.rules if modules.cite(spelling)), self.plain)


# Algoritmo do ModelOpt → (precisão, bits de um peso, bits de uma escala, pesos por escala).
HF_ALGORITHMS = {name: row for names, row in {
    "FP8 FP8_PER_CHANNEL_PER_TOKEN": ("fp8", 8, 0, 1),
    "FP8_PB_WO FP8_PB_REAL FP8_BLOCK_SCALES": ("fp8", 8, 32, 128 * 128),
    "MXFP8": ("fp8", 8, 8, 32),
    "NVFP4 W4A16_NVFP4 NVFP4_AWQ W4A8_NVFP4_FP8": ("nvfp4", 4, 8, 16),
    "MXFP4 W4A8_MXFP4_FP8": ("mxfp4", 4, 8, 32),
    "W4A16_AWQ W4A8_AWQ": ("int4", 4, 16, 128),
    "W8A16 W8A8_SQ_PER_CHANNEL": ("int8", 8, 0, 1),
}.items() for name in names.split()}
UNQUANTIZED_ALGORITHMS = ("", "NONE", "UNQUANTIZED")
# Formato da compressed-tensors → (bits de um peso; 0, os de `num_bits`; bits de uma escala).
HF_PACKINGS = {
    "pack-quantized": (0, 16), "int-quantized": (8, 16), "float-quantized": (8, 16),
    "naive-quantized": (8, 16), "nvfp4-pack-quantized": (4, 8), "mxfp4-pack-quantized": (4, 8),
    "mxfp6-pack-quantized": (6, 8), "mxfp8-quantized": (8, 8)}
# data_type do AutoRound e bits → (precisão, bits de uma escala, pesos por escala).
AUTO_ROUND_FLOATS = {("mx_fp", 4): ("mxfp4", 8, 32), ("mx_fp", 8): ("fp8", 8, 32),
                     ("nv_fp", 4): ("nvfp4", 8, 16), ("fp", 8): ("fp8", 0, 1)}
HF_KEPT_LISTS = ("modules_to_not_convert", "ignored_layers", "llm_int8_skip_modules")
HF_OVERLAY_LISTS = ("ignore", "exclude_modules")  # com `quantized_layers`, só falam dos citados
BLOCK: Rule = (lambda v: isinstance(v, list) and len(v) == 2
               and all(type(n) is int and 0 < n < 10**5 for n in v), "dois inteiros positivos")


def stored(precision: str, bits: int, scale_bits: int = 0, group: int = 1) -> WeightFormat:
    return WeightFormat(precision, bits + Fraction(scale_bits, group))


def integers(bits: int, scale_bits: int, group: int) -> WeightFormat:
    """Pesos inteiros em grupos; sem grupo (-1 ou 0), a escala é de um canal e não pesa."""
    return stored("int4" if bits <= 4 else "int8", bits, scale_bits if group > 0 else 0,
                  max(group, 1))


def algorithm_format(source: HfConfig, plain: WeightFormat) -> WeightFormat:
    name = str(source.data.get("quant_algo") or "").upper()
    if name in UNQUANTIZED_ALGORITHMS:
        return plain
    if name not in HF_ALGORITHMS:
        raise source.fail("quant_algo", "um destes: %s, MIXED_PRECISION" % ", ".join(HF_ALGORITHMS))
    precision, bits, scale_bits, group = HF_ALGORITHMS[name]
    if bits == 4:
        group = source.count("group_size", group)
    return stored(precision, bits, scale_bits, group)


def by_value(source: HfConfig) -> list[tuple[list[str], HfConfig]]:
    """Os nomes de um objeto que têm o mesmo valor, e ele."""
    named: dict[str, list[str]] = {}
    for name, value in source.data.items():
        named.setdefault(str(value), []).append(name)
    if len(named) > MAX_FIELDS:
        raise SizingError(source.file, "espera-se até %d formatos diferentes" % MAX_FIELDS,
                          path=source.path)
    return [(names, source.child(names[0])) for names in named.values()]


def layer_rules(source: HfConfig, plain: WeightFormat, experts: int) -> list[FormatRule]:
    """As regras de `quantized_layers`, em que cada módulo tem o próprio algoritmo."""
    layers = source.child("quantized_layers")
    if list(layers.data) == ["quantized_layers"]:  # como o ModelOpt já escreveu
        layers = layers.child("quantized_layers")
    return [(modules_of(layers, names[0], names, experts), algorithm_format(value, plain))
            for names, value in by_value(layers)]


def modelopt_rules(source: HfConfig, plain: WeightFormat, experts: int) -> list[FormatRule]:
    if str(source.data.get("quant_algo")).upper() != "MIXED_PRECISION":
        return [(DECODER_MODULES, algorithm_format(source, plain))]
    if source.data.get("quantized_layers"):
        return []
    return compressed_rules(source, plain, experts)


def packing_of(group: HfConfig, root: HfConfig, bits: int, size: int) -> str:
    """O formato de um grupo: o dele, o da raiz ou o que a compressed-tensors infere.

    Inteiros sem ativações de ponto flutuante se empacotam; os outros ocupam 8 bits, ainda que o
    peso tenha 4.
    """
    rule = one_of(*HF_PACKINGS, "dense", "mixed-precision")
    for named in (group.get("format", rule, None), root.get("format", rule, None)):
        if named not in (None, "mixed-precision"):
            return str(named)
    weights, activations = group.child("weights").data, group.child("input_activations").data
    if weights.get("type") != "float":
        return "int-quantized" if activations.get("type") == "float" else "pack-quantized"
    narrow = {(4, 16): "nvfp4-pack-quantized", (4, 32): "mxfp4-pack-quantized",
              (6, 32): "mxfp6-pack-quantized"}
    if (bits, size) == (8, 32) and "uint8" in str(weights.get("scale_dtype")):
        return "mxfp8-quantized"
    return narrow.get((bits, size), "float-quantized")


def packed_format(group: HfConfig, root: HfConfig, plain: WeightFormat) -> WeightFormat:
    """Como um grupo da compressed-tensors guarda os pesos."""
    weights = group.child("weights")
    bits, size = weights.count("num_bits", high=8), weights.count("group_size", 0, low=-1)
    block = weights.get("block_structure", BLOCK, None)
    if block and weights.data.get("strategy") == "block":
        size = block[0] * block[1]
    name = packing_of(group, root, bits, size)
    if name == "dense":
        return plain
    kind = weights.get("type", one_of("int", "float"), "int")
    stored_bits, scale_bits = HF_PACKINGS[name]
    stored_bits = stored_bits or bits
    if not weights.get("symmetric", FLAG, True):
        scale_bits += stored_bits
    if kind == "int":
        return integers(stored_bits, scale_bits, size)
    narrow = {16: "nvfp4", 32: "mxfp4"}.get(size)
    if bits != stored_bits or (bits == 4 and not narrow):
        raise weights.fail("num_bits", "os bits e o group_size do formato %s" % name)
    precision = narrow if bits == 4 and narrow else "fp8"
    return stored(precision, bits, scale_bits if size > 0 else 0, max(size, 1))


def compressed_rules(source: HfConfig, plain: WeightFormat, experts: int) -> list[FormatRule]:
    """Cada grupo da compressed-tensors, com os próprios alvos."""
    sparsity = source.child("sparsity_config").data.get("format") or "dense"
    if sparsity != "dense":
        raise source.fail("sparsity_config", "pesos densos")
    groups, rules = source.child("config_groups").few(), []
    for name in groups.data:
        group = groups.child(name)
        if group.child("weights").data:
            targets = group.sequence("targets") or ["Linear"]
            rules.append((modules_of(group, "targets", targets, experts),
                          packed_format(group, source, plain)))
    if not rules and not source.data.get("kv_cache_scheme"):
        raise source.fail("config_groups", "grupos com os formatos dos pesos")
    # um alvo com o nome do módulo vale mais que a classe dele
    return sorted(rules, key=lambda rule: "layers" in rule[0].names)


def fp8_rules(source: HfConfig, plain: WeightFormat, experts: int) -> list[FormatRule]:
    block = source.get("weight_block_size", BLOCK, None)
    scale_bits = 8 if source.data.get("scale_fmt") == "ue8m0" else 32
    form = stored("fp8", 8, scale_bits, block[0] * block[1]) if block else stored("fp8", 8)
    more = source.sequence("modules_to_convert")
    return [(modules_of(source, "modules_to_convert", more, experts), form),
            (DECODER_MODULES, form)]


def gptq_rules(source: HfConfig, plain: WeightFormat, experts: int) -> list[FormatRule]:
    """Inteiros em grupos; GPTQ muda módulos em `dynamic`, e AutoRound, em `extra_config`."""
    rules, form = [], grouped_format(source, {}, plain)
    dynamic = source.child("dynamic").few()
    for name in dynamic.data:  # vale o primeiro que casa
        changes = {"bits": 16} if name.startswith("-:") else dynamic.child(name).data
        entry = "re:" + re.sub(r"^[+-]:", "", name)
        rules.append((modules_of(source, "dynamic", [entry], experts),
                      grouped_format(source, changes, plain)))
    for names, value in by_value(source.child("extra_config")):
        entries = ["re:.*?(?:%s)" % name if HF_GLOB.search(name) else name for name in names]
        rules.append((modules_of(source, "extra_config", entries, experts),
                      grouped_format(source, value.data, plain)))
    rules.sort(key=lambda rule: len(rule[0].patterns) > 0)
    if source.flag("lm_head") or source.flag("quant_lm_head"):
        rules.append((ModuleList(frozenset(["lm_head"])), form))
    chosen = [item if isinstance(item, list) else [item]
              for item in source.sequence("modules_in_block_to_quantize")]
    only = modules_of(source, "modules_in_block_to_quantize", chain.from_iterable(chosen), experts)
    return [*rules, (only if chosen else DECODER_MODULES, form)]


def grouped_format(source: HfConfig, changes: Json, plain: WeightFormat) -> WeightFormat:
    """As escalas têm 16 bits, e os zeros, empacotados, os de um peso, haja ou não simetria."""
    one = HfConfig(source.file, {**source.data, **changes}, source.path)
    bits, size = one.count("bits", high=32), one.count("group_size", 128, low=-1)
    kind = str(one.data.get("data_type") or "int")
    if bits >= 16:
        return plain
    if kind.startswith("int") and bits <= 8:
        return integers(bits, 16 + bits, size)
    for (prefix, width), (precision, scale_bits, group) in AUTO_ROUND_FLOATS.items():
        if kind.startswith(prefix) and bits == width:
            return stored(precision, bits, scale_bits, group)
    raise one.fail("data_type", "int, mx_fp, nv_fp ou fp, de até 8 bits")


def bitsandbytes_rules(source: HfConfig, plain: WeightFormat, experts: int) -> list[FormatRule]:
    """Com segunda quantização, as escalas de 64 pesos têm 8 bits, e 256 delas, uma de 32."""
    names = ("load_in_4bit", "_load_in_4bit")
    if any(source.data.get(name) is True for name in names):
        doubled = source.flag("bnb_4bit_use_double_quant")
        return [(DECODER_MODULES, stored("int4", 4, 8 * 256 + 32, 64 * 256) if doubled
                 else stored("int4", 4, 32, 64))]
    if not any(source.data.get(name) is True for name in ("load_in_8bit", "_load_in_8bit")):
        raise source.fail("load_in_4bit", "load_in_4bit ou load_in_8bit")
    return [(DECODER_MODULES, stored("int8", 8))]


RulesReader = Callable[[HfConfig, WeightFormat, int], List[FormatRule]]
HF_METHODS: dict[str, RulesReader] = {name: reader for names, reader in {
    "fp8 fbgemm_fp8": fp8_rules,
    "mxfp4": lambda *_: [(EXPERT_MODULES, stored("mxfp4", 4, 8, 32))],
    "mxfp8": lambda *_: [(DECODER_MODULES, stored("fp8", 8, 8, 32))],
    "compressed-tensors": compressed_rules, "modelopt": modelopt_rules,
    "gptq awq auto-round": gptq_rules, "bitsandbytes": bitsandbytes_rules,
}.items() for name in names.split()}


def method_of(source: HfConfig) -> str:
    name = str(source.data.get("quant_method") or "").lower().replace("_", "-")
    if not name:
        clues = {"quant_algo": "modelopt", "config_groups": "compressed-tensors", "bits": "gptq",
                 "w_bit": "awq"}
        name = next((method for field, method in clues.items() if field in source.data), "")
    aliases = {"fbgemm-fp8": "fbgemm_fp8", "autoround": "auto-round", "intel/auto-round":
               "auto-round", "gptq-marlin": "gptq", "awq-marlin": "awq"}
    name = "modelopt" if name.startswith("modelopt") else aliases.get(name, name)
    if name not in HF_METHODS:
        raise source.fail("quant_method", "um destes: " + ", ".join(HF_METHODS))
    return name


def speaking(source: HfConfig) -> HfConfig | None:
    """A declaração; None se só fala do cache, com um algoritmo nulo, ou está vazia."""
    data = source.data
    silent = (data.get("quant_algo", ABSENT) is None and not data.get("quantized_layers")
              and str(data.get("quant_method") or "modelopt").startswith("modelopt"))
    return source if data and not silent else None


def declarations(config: HfConfig, beside: HfConfig | None) -> list[HfConfig]:
    """O que declara a quantização, em config.json e no arquivo ao lado."""
    name = next((name for name in ("quantization_config", "compression_config")
                 if config.named(name)[1] is not None), "quantization_config")
    own = config.child(name)
    if isinstance(own.data.get(name), dict):  # como já se escreveu em compression_config
        own = own.child(name)
    found = [speaking(own)]
    if beside:
        inside = beside.child("quantization") if "quantization" in beside.data else beside
        if not inside.data:
            raise beside.fail("quantization", "o algoritmo da quantização")
        found.append(speaking(inside))
    return [source for source in found if source]


def kept_modules(source: HfConfig, experts: int) -> ModuleList:
    """O que a quantização diz deixar como está."""
    layered = source.data.get("quantized_layers") and method_of(source) != "modelopt"
    fields = HF_KEPT_LISTS if layered else (*HF_KEPT_LISTS, *HF_OVERLAY_LISTS)
    lists = [modules_of(source, field, source.sequence(field), experts) for field in fields]
    return ModuleList(frozenset(chain.from_iterable(item.names for item in lists)),
                   [pattern for item in lists for pattern in item.patterns])


def expert_rules(config: HfConfig, source: HfConfig | None, plain: WeightFormat
                 ) -> list[FormatRule]:
    """O formato próprio dos especialistas, que o DeepSeek V4 declara na raiz ou na quantização."""
    algorithm = source.data.get("moe_quant_algo") if source else None
    if source and algorithm and not source.data.get("quantized_layers"):
        named = HfConfig(source.file, {"quant_algo": algorithm}, source.path)
        return [(EXPERT_MODULES, algorithm_format(named, plain))]
    holder = source if source and source.data.get("expert_dtype") else config
    dtype = holder.get("expert_dtype", one_of("fp4", "fp8", "bf16"), "")
    forms = {"fp4": stored("mxfp4", 4, 8, 32), "bf16": plain}
    if source is None or method_of(source) != "fp8":
        forms["fp8"] = stored("fp8", 8)
    return [(EXPERT_MODULES, forms[dtype])] if dtype in forms else []


def rules_of(config: HfConfig, source: HfConfig, plain: WeightFormat) -> list[FormatRule]:
    experts, method = config.count("num_experts", 0, low=0), method_of(source)
    base = HF_METHODS[method](source, plain, experts)
    saved_fused = re.match(r"([5-9]|\d\d)\.", str(config.data.get("transformers_version")))
    if method == "bitsandbytes" and saved_fused:  # só quantiza nn.Linear, e eles já não são
        base = [(EXPERT_MODULES, plain), *base]
    targets = source.sequence("targets")
    if targets:
        only = modules_of(source, "targets", targets, experts)
        base = [(only if modules is DECODER_MODULES else modules, form) for modules, form in base]
    return [*layer_rules(source, plain, experts), (kept_modules(source, experts), plain),
            *expert_rules(config, source, plain), *base]


def pruned_experts(source: HfConfig | None) -> Sequence[int | None]:
    sparsity = source.child("moe_sparsity_config") if source else None
    if sparsity is None or not sparsity.data:
        return ()
    sparsity.get("method", one_of("prune"))
    counts = sparsity.sequence("num_experts")
    if not counts or any(n is not None and (type(n) is not int or n < 1) for n in counts):
        raise sparsity.fail("num_experts", "o número de especialistas de cada camada, ou null")
    return counts


# Padrões × camadas, os de mais repetições por mais: o que se confere em segundos.
MAX_PATTERN_LAYERS = 30 * 1000


def check_patterns(source: HfConfig, layers: int) -> None:
    """Levanta `SizingError` se os padrões são demais para tantas camadas."""
    pending: list[Any] = [source.few().data]
    texts: set[str] = set()
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            texts.update(item)
        if isinstance(item, (dict, list)):
            pending += item.values() if isinstance(item, dict) else item
        elif isinstance(item, str):
            texts.add(item)
    patterns = [text for text in map(without_globs, texts) if HF_GLOB.search(text[:300])]
    cost = sum(12 ** max(0, min(len(re.findall("[*+}]", text[:300])), 7) - 1) for text in patterns)
    if cost * max(layers, 10) > MAX_PATTERN_LAYERS:
        raise SizingError(source.file, "padrões demais, ou com repetições demais, para conferir em "
                          "cada camada: %d" % len(patterns), path=source.path)


def quantization_of(config: HfConfig, beside: HfConfig | None) -> Quantization:
    """A quantização que config.json e o hf_quant_config.json ao lado declaram."""
    plain = WeightFormat("bf16", config.dtype_bits("torch_dtype"))
    layers = config.count("num_layers", 100, low=0)
    declared = declarations(config, beside)
    for declaration in declared:
        check_patterns(declaration, layers)
    read = [(source, rules_of(config, source, plain)) for source in declared]
    if len(read) == 2:
        check_agreement(plain, *read)
    # vale a que diz o algoritmo de cada módulo, senão a do config.json
    read.sort(key=lambda item: not item[0].data.get("quantized_layers"))
    source, rules = read[0] if read else (None, expert_rules(config, None, plain))
    if len(rules) > 10 and len(rules) * layers > MAX_PATTERN_LAYERS:
        raise SizingError(config.file, "regras de quantização demais para as camadas: %d"
                          % len(rules))
    model_type = str(config.data.get("model_type"))
    renamed = [names for start, names in HF_RENAMED.items() if model_type.startswith(start)]
    return Quantization(plain, rules, config.count("num_layers", 0, low=0),
                        renamed[0] if renamed else ("", ""), pruned_experts(source))


def check_agreement(plain: WeightFormat, own: tuple[HfConfig, list[FormatRule]],
                    other: tuple[HfConfig, list[FormatRule]]) -> None:
    """Levanta `SizingError` se config.json e o arquivo ao lado dizem formatos diferentes."""
    said = [sorted({form.precision for _, form in rules if form is not plain})
            for _, rules in (own, other)]
    algorithms = [source.data.get("quant_algo") for source, _ in (own, other)]
    agree = said[0] == said[1]
    if None not in algorithms:
        agree = str(algorithms[0]).upper() == str(algorithms[1]).upper()
    if not agree:
        source = other[0]
        raise SizingError(
            source.file, "contradiz %s, que diz %s" % (
                own[0].file, algorithms[0] or " e ".join(said[0]) or "16 bits"),
            path=(*source.path, "quant_algo"), value=source.data.get("quant_algo", ABSENT))


# ── Apêndice: torres: tower_params, o que não é do decodificador de texto

# Uma fórmula é uma soma de produtos; a^2 é a potência, i/p a divisão inteira e h o hidden_size do
# texto. As outras letras vêm dos campos, "letra=campo:padrão da classe" ou "letra:=produto". Um
# campo com ponto à frente parte da raiz; "#" conta os itens de uma lista (1, se é só um valor),
# "[0]" pega um deles, e "=valor" depois do campo vale 1 se é isso que o config diz.
VIT = "c=num_channels:3 p=patch_size:%s i=image_size:%s g:=i/p w=hidden_size:%s " \
      "f=intermediate_size:%s n=num_hidden_layers:%s"
QWEN = "c=in_channels:3 t=temporal_patch_size:2 p=patch_size:%s s=spatial_merge_size:2 " \
       "m:=w*s^2 n=depth:%s w=hidden_size:%s f=intermediate_size:%s"
MERGER = "m^2 + m + m o + o"
VIT_LAYER = "4 w^2 + 2 w f + f + 9 w"  # LayerNorm, e viés em tudo
WHISPER_LAYER = "4 w^2 + 2 w f + f + 8 w"  # sem viés no k
GATED_LAYER = "4 w^2 + 3 w f + 2 w"  # RMSNorm, porta na FFN e nenhum viés
SIGLIP = "c w p^2 + w + g^2 w + 2 w"  # blocos da imagem, posições e a norma final
POOLING_HEAD = " + u 4 w^2 + u 2 w f + u f + u 8 w"
GLM_MERGER = "c t p^2 w + w + w + o w s^2 + o + o^2 + 2 o + 3 o F"
WHISPER_STEM = "3 x w + w + 3 w^2 + w + 2 w"  # duas convoluções e a norma final
CONFORMER = "24 w^2 + k w + 9 w + d"  # o das Gemma
CONFORMER_STEM = "10 x + 9 x y + y + "
SAM = ("c w p^2 + w + A g^2 w + w O + 4 O + 9 O^2 + 4 R n W d + -2 R n d + -4 R G W d "
       "+ 4 R G g d + -3 n w + 3 n B w")


@dataclass(frozen=True, eq=False)
class Tower:
    """Uma torre: os parâmetros que tem uma só vez e os de cada uma das `n` camadas."""

    once: str
    layer: str
    fields: str
    only: Json = dataclasses.field(default_factory=dict)  # campo → o único valor que se conta


VIT_CLIP, VIT_SIGLIP = VIT % (32, 224, 768, 3072, 12), VIT % (16, 224, 768, 3072, 12)
WHISPER = ("x=num_mel_bins:%s w=hidden_size:%s f=intermediate_size:%s n=num_hidden_layers:%s "
           "P=max_source_positions:1500")
WHISPER_D = ("x=num_mel_bins:128 w=d_model:1280 f=encoder_ffn_dim:5120 n=encoder_layers:32 "
             "P=max_source_positions:1500 o=output_dim:3584")
MEL = ("x=num_mel_bins:128 y:=x/8 w=d_model:%s f=encoder_ffn_dim:%s n=encoder_layers:%s "
       "C=downsample_hidden_size:480 o=output_dim:%s")
QWEN3_VISION = "c t p^2 w + w + P w + 2 w + " + MERGER
QWEN3_FIELDS = QWEN % (16, 27, 1152, 4304) + (
    " o=out_hidden_size:3584 P=num_position_embeddings:2304")
QWEN25_LAYER = "4 w^2 + 3 w f + 2 f + 7 w"
QWEN25_FIELDS = QWEN % (14, 32, 3584, 3420) + " o=out_hidden_size:3584"
GLM_OCR_LAYER = "4 w^2 + 4 b w + 2 d + 3 w f + 2 b f + b w + 2 w"
GLM_OCR_FIELDS = QWEN % (14, 24, 1024, 4096) + (
    " b=attention_bias:true a=num_heads:16 d:=w/a o=out_hidden_size:1536")
MUSE_FIELDS = ("t=patch_temporal:2 p=patch_size:14 w=hidden_size:1536 "
               "f=intermediate_size:8960 n=num_hidden_layers:50 "
               "H=pos_emb_height:32 W=pos_emb_width:32")
KIMI_FIELDS = ("p=patch_size:14 w=vt_hidden_size:1152 f=vt_intermediate_size:4304 "
               "n=vt_num_hidden_layers:27 H=pos_emb_height:64 W=pos_emb_width:64 "
               "y=merge_kernel_size[0]:2 z=merge_kernel_size[1]:2 m:=w*y*z")
SAM_FIELDS = (VIT % (16, 1024, 768, 3072, 12)).replace("intermediate_size", "mlp_dim") + (
    " a=num_attention_heads:12 d:=w/a O=output_channels:256 W=window_size:14 "
    "G=#global_attn_indexes:4 A=use_abs_pos:true R=use_rel_pos:true B=qkv_bias:true")
MUSE_STAGE = " + w{0} {1} p{0} + 2 w{0} + k n{0} w{0} + 3 n{0} w{0} + 2 m n{0} w{0}^2 + m n{0} w{0}"
MUSE_AUDIO = "2 h + w3 h + w3" + "".join(
    MUSE_STAGE.format(i, "w%d" % (i - 1) if i else "1") for i in range(4))
MUSE_AUDIO_FIELDS = "n:=0 k=conv_kernel_size:7 m=mlp_ratio:4" + "".join(
    " w%d=hidden_sizes[%d]:%d n%d=depths[%d]:2 p%d=patch_sizes[%d]:%d" % (
        i, i, width, i, i, i, i, patch)
    for i, (width, patch) in enumerate(zip((256, 512, 1024, 2048), (16, 6, 5, 4))))
MINICPM_MERGER = ("4 w^2 + 7 w + 2 m + m I + I + I w",
                  " y=window_kernel_size[0]:2 z=window_kernel_size[1]:2 m:=w*y*z I:=f*y*z")

TOWERS = {kind: tower for kinds, tower in (
    ("clip_vision_model", Tower("c w p^2 + w + g^2 w + w + 4 w", VIT_LAYER, VIT_CLIP)),
    ("siglip_vision_model", Tower(SIGLIP + POOLING_HEAD, VIT_LAYER,
                                  VIT_SIGLIP + " u=vision_use_head:true")),
    ("phi4_multimodal_vision", Tower(
        SIGLIP + POOLING_HEAD + " + 2 w", VIT_LAYER, VIT % (14, 448, 1152, 4304, 27) + " u:=1")),
    ("siglip2_vision_model", Tower(
        "c w p^2 + w + P w + 2 w" + POOLING_HEAD, VIT_LAYER,
        VIT % (16, 1, 768, 3072, 12) + " P=num_patches:256 u=vision_use_head:true")),
    ("cosmos3_edge_vision", Tower("c w p^2 + w + P w + 2 w", VIT_LAYER,
                                  VIT % (16, 1, 1152, 4304, 27) + " P=num_patches:256")),
    ("idefics2_vision", Tower(SIGLIP, VIT_LAYER, VIT % (32, 224, 768, 3072, 12))),
    ("idefics3_vision smolvlm_vision",
     Tower(SIGLIP, VIT_LAYER, VIT % (32, 224, 1152, 3072, 12))),
    ("paddleocr_vl_vision", Tower(SIGLIP, VIT_LAYER, VIT % (14, 384, 1152, 4304, 27))),
    ("minicpmv4_6_vision minicpmv4_7_vision minicpm_ocr_vision", Tower(
        SIGLIP + " + " + MINICPM_MERGER[0], VIT_LAYER, VIT_SIGLIP + MINICPM_MERGER[1],
        {".merger_times": 1})),
    ("video_llama_3_vision", Tower("c w p^2 + 3 w", VIT_LAYER, VIT_SIGLIP)),
    ("pixtral", Tower("c w p^2 + w", GATED_LAYER, VIT % (16, 1024, 1024, 4096, 24))),
    ("llama4_vision_model", Tower(
        "c w p^2 + w + g^2 w + w + 4 w + I f + O^2", VIT_LAYER,
        VIT % (14, 448, 768, 5632, 34) + " I=projector_input_dim:4096 O=projector_output_dim:4096 "
        "o=vision_output_dim:7680")),
    ("mllama_vision_model", Tower(
        "c w p^2 + 6 w + g^2 w + a T g^2 w + T g^2 w + 3 a T w + 3 T w + 3 + 4 G w^2 + 2 G w f "
        "+ G f + 5 G w + 2 G",
        "4 w^2 + 2 w f + f + 5 w",
        VIT % (14, 448, 1280, 5120, 32) + " G=num_global_layers:8 T=max_num_tiles:4 "
        "o=vision_output_dim:7680 a=#supported_aspect_ratios:8")),
    ("internvl_vision", Tower(
        "w + c w p^2 + w + P g^2 w + P w + 2 w + -2 M w + K w",
        "4 w^2 + 3 b w + w + 2 w + 2 w f + f + w + 2 w + 2 L w + 2 q w",
        VIT % (14, 448, 1024, 4096, 24) + " b=attention_bias:false q=use_qk_norm:false "
        "L=norm_type=layer_norm:layer_norm P=use_absolute_position_embeddings:true "
        "M=use_mean_pooling:true K=use_mask_token:false")),
    ("qwen2_vl_vision qwen2_vl", Tower(
        "c t p^2 w + 2 w + m^2 + m + m o + o", VIT_LAYER,
        (QWEN % (14, 32, 0, 0)).replace("w=hidden_size:0", "w=embed_dim:1280").replace(
            "f=intermediate_size:0", "r=mlp_ratio:4 f:=w*r o=hidden_size:3584"))),
    ("qwen2_5_vl_vision", Tower("c t p^2 w + w + " + MERGER, QWEN25_LAYER, QWEN25_FIELDS)),
    ("exaone4_5_vision", Tower(
        "c t p^2 w + w + " + MERGER, "2 w^2 + 2 w k + 2 k + 3 w f + 2 f + 5 w",
        QWEN25_FIELDS + " a=num_heads:16 v=num_key_value_heads:8 d:=w/a k:=v*d")),
    ("qwen3_vl_vision", Tower(
        QWEN3_VISION + " + 2 D m + D m^2 + D m + D m o + D o", VIT_LAYER,
        QWEN3_FIELDS + " D=#deepstack_visual_indexes:3")),
    ("qwen3_5_vision", Tower(QWEN3_VISION, VIT_LAYER, QWEN3_FIELDS)),
    ("gemma4_vision", Tower(
        "3 p^2 w + 2 P w", "2 w q + 2 w k + 2 d + 3 w f + 4 w",
        VIT % (16, 1, 768, 3072, 16) + " P=position_embedding_size:10240 "
        "a=num_attention_heads:12 v=num_key_value_heads:12 d=head_dim:64 q:=a*d k:=v*d")),
    ("mobilenet_v5", Tower("294126912", "0", "n:=0 w=hidden_size:2048 v=vocab_size:128",
                           {"architecture": "mobilenetv5_300m_enc"})),
    ("kimi_k25_vision", Tower("3 p^2 w + w + H W w + 2 w", VIT_LAYER, KIMI_FIELDS)),
    ("kimi_k3_vision", Tower(  # fora da biblioteca: contada pelos campos do config
        "3 p^2 w + H W w + w", "4 w q + 2 w f + 2 w", KIMI_FIELDS + " q=qkv_hidden_size:1536",
        {"attn_bias": False, "linear_bias": False, "patch_embed_proj_bias": False,
         "mlp_type": "mlp2", "norm_type": "rmsnorm"})),
    ("minimax_m3_vl_vision", Tower(
        "c t p^2 w + 2 w", VIT_LAYER,
        VIT % (14, 2016, 1280, 5120, 32) + " t=temporal_patch_size:2")),
    ("glm4v_vision", Tower(
        GLM_MERGER + " + g^2 w + w", "4 w^2 + 3 b w + 3 w o + 2 w",
        (QWEN % (14, 24, 1536, 13696)).replace("f=", "F=") + " i=image_size:336 g:=i/p "
        "b=attention_bias:false o=out_hidden_size:4096")),
    ("glm_ocr_vision", Tower(GLM_MERGER, GLM_OCR_LAYER, GLM_OCR_FIELDS + " F:=o*c")),
    ("glm5_next_vision", Tower(GLM_MERGER, GLM_OCR_LAYER,
                               GLM_OCR_FIELDS + " F=projection_intermediate_size:10240")),
    ("hy_v4_vl_vision", Tower(
        "c w p^2 + w + g^2 w + w + o + s^4 w^2 + s^2 w + s^2 w o + o + w", VIT_LAYER,
        (VIT % (16, 2048, 1536, 6144, 40)).replace("image_size", "max_image_size") +
        " s=spatial_merge_size:2 o=out_hidden_size:6144")),
    ("hunyuan_vl_vision", Tower(
        "c w p^2 + w + g^2 w + w + 4 w + 2 s^2 w^2 + 2 w + 8 w^2 + 4 w + 4 w h + h + 3 h + w + h",
        VIT_LAYER, (VIT % (16, 2048, 1152, 4304, 27)).replace("image_size", "max_image_size") +
        " s=spatial_merge_size:2")),
    ("muse_vision", Tower("3 t p^2 w + H W w + 4 w", VIT_LAYER, MUSE_FIELDS)),
    ("step3p5_vision", Tower(
        "c w p^2 + g^2 w + 2 w + 18 w^2 + 2 w + 72 w^2 + 4 w", VIT_LAYER + " + 2 w",
        (VIT % (14, 728, 1536, "", 47)).replace("f=intermediate_size:",
                                                "r=mlp_ratio:35/6 f:=w*r"))),
    ("radio", Tower(
        "g^2 w + R w + S w + c p^2 w + c p^2 w t", VIT_LAYER + " + 2 w + -3 w + 3 b w",
        "c=num_channels:3 p=patch_size:16 i=max_img_size:2048 g:=i/p w=hidden_size:1280 "
        "r=mlp_ratio:4 f:=w*r n=num_hidden_layers:32 R=num_cls_tokens:3 S=num_registers:7 "
        "t=video_temporal_patch_size:2 b=qkv_bias:true", {"use_swiglu_ffn": False})),
    ("ernie4_5_vl_moe_vision", Tower(
        "c w p^2 + 2 w", VIT_LAYER, QWEN % (14, 32, 1280, 5120) + " T=temporal_merge_size:2")),
    ("ovis2_vision", Tower(
        "c w p^2 + w + g^2 w + 2 w + V w S^2 + -1 I w S^2 + 2 V + -2 I",
        GATED_LAYER + " + 4 b w + 2 B f + B w",
        VIT % (14, 224, 1024, 2816, 24) + " V=vocab_size:16384 I=num_visual_indicator_tokens:5 "
        "S=hidden_stride:1 b=qkv_bias:false B=mlp_bias:false")),
    ("molmo2_vision", Tower(
        "c w p^2 + w + P w", "2 w q + 2 w k + b q + 2 b k + b w + 2 w f + f + 5 w",
        VIT % (14, 378, 1152, 4304, 25) + " P=num_position_embeddings:729 b=attention_bias:true "
        "a=num_attention_heads:16 v=num_key_value_heads:16 d=head_dim:72 q:=a*d k:=v*d")),
    ("kosmos_2_5_vision_model", Tower(
        "e w + w + 2 P w + w", "2 w q + 2 w q + 3 w f + 2 w",
        "e=patch_embed_hidden_size:768 w=hidden_size:1536 f=intermediate_size:3968 "
        "n=num_hidden_layers:18 P=max_num_patches:4096 a=num_attention_heads:24 d=head_dim:64 "
        "q:=a*d")),
    ("got_ocr2_vision sam_vision_model", Tower(SAM, VIT_LAYER, SAM_FIELDS)),
    ("inkling2_vision", Tower(
        "c p^2 w + 4 w + P^2 w + m I + I h + b I + b h", VIT_LAYER + " + 2 w",
        "c=num_channels:3 p=patch_size:20 w=hidden_size:1024 f=intermediate_size:4096 "
        "n=num_hidden_layers:23 "
        "P=posemb_grid_size:32 s=spatial_merge_size:2 m:=w*s^2 I=projection_hidden_dim:4096 "
        "b=projector_bias:false")),
    ("granite_docling_vision", Tower(
        SIGLIP + " + 2 w + m o + 2 D m + D m o + D o + D o^2 + D o + M o + 2 D M + D M o + D o "
        "+ D o^2 + D o + 2 o + o^2 + 2 o", VIT_LAYER,
        VIT % (16, 512, 768, 3072, 12) + " o=out_hidden_size:1024 s=scale_factor:4 m:=w*s^2 "
        "r:=s/2 M:=w*r^2 D=#deepstack_visual_indexes:3", {"use_fine_route": True})),
    ("fuyu", Tower("c h p^2 + h", "0", "n:=0 c=num_channels:3 p=patch_size:30")),
    ("qwen2_audio_encoder", Tower(WHISPER_STEM + " + P w", WHISPER_LAYER, WHISPER_D)),
    ("qwen2_5_omni_audio_encoder", Tower(
        WHISPER_STEM + " + w o + o + 2 o", WHISPER_LAYER, WHISPER_D)),
    ("voxtral_encoder audioflamingo3_encoder", Tower(
        WHISPER_STEM + " + P w", WHISPER_LAYER, WHISPER % (128, 1280, 5120, 32))),
    ("moss_transcribe_diarize_audio", Tower(
        WHISPER_STEM + " + P w", WHISPER_LAYER, WHISPER % (80, 1024, 4096, 24))),
    ("glmasr_encoder", Tower(
        WHISPER_STEM, "2 w^2 + 2 w k + k + 2 w f + f + 7 w", WHISPER % (128, 1280, 5120, 32) +
        " a=num_attention_heads:20 v=num_key_value_heads:a d:=w/a k:=v*d")),
    ("voxtral_realtime_encoder", Tower(
        "3 x w + w + 3 w^2 + w + w", "4 w q + 2 q + w + 2 w + 3 w f + w",
        WHISPER % (128, 1280, 5120, 32) + " a=num_attention_heads:32 d=head_dim:64 q:=a*d")),
    ("qwen3_asr_encoder", Tower(
        "10 C + 18 C^2 + 2 C + C y w + 2 w", VIT_LAYER, MEL % (1024, 4096, 24, 3584))),
    ("qwen3_omni_moe_audio_encoder", Tower(
        "10 C + 18 C^2 + 2 C + C y w + 2 w + w^2 + w + w o + o", VIT_LAYER,
        MEL % (1280, 5120, 32, 3584))),
    ("gemma4_audio", Tower(
        CONFORMER_STEM + "x/4 y w + w o + o", CONFORMER,
        "x=subsampling_conv_channels[0]:128 y=subsampling_conv_channels[1]:32 w=hidden_size:1024 "
        "n=num_hidden_layers:12 a=num_attention_heads:8 d:=w/a k=conv_kernel_size:5 "
        "o=output_proj_dims:1536")),
    ("gemma3n_audio", Tower(
        CONFORMER_STEM + "x/4 y w", CONFORMER,
        "x=sscp_conv_channel_size[0]:128 y=sscp_conv_channel_size[1]:32 w=hidden_size:1536 "
        "n=conf_num_hidden_layers:12 a=conf_num_attention_heads:8 d:=w/a "
        "k=conf_conv_kernel_size:5 v=vocab_size:128")),
    ("granite_speech_encoder", Tower(
        "x w + 2 w + 2 y w + y",
        "4 r w^2 + 2 r w + 14 w + 4 q w + 2 P d + d + 3 E w^2 + 4 E w + k E w",
        "x=input_dim:160 y=output_dim:42 w=hidden_dim:1024 n=num_layers:10 r=feedforward_mult:4 "
        "a=num_heads:8 d=dim_head:128 q:=a*d P=max_pos_emb:512 k=conv_kernel_size:15 "
        "E=conv_expansion_factor:2")),
    ("phi4_multimodal_audio", Tower(
        "32 C + 2 C^2 + N C w + w + 2 B a",
        "6 w f + 4 f + 4 w^2 + 16 w + 2 E w + 4 E + M k w + M w + M S w + S + E w + E",
        "w=hidden_size:1024 f=intermediate_size:1536 n=num_blocks:24 a=num_attention_heads:16 "
        "E=ext_pw_out_channel:1024 S=depthwise_separable_out_channel:1024 "
        "C=nemo_conv_channels:1024 B=bias_max_distance:1000 M=depthwise_multiplier:1 "
        "k=kernel_size:3 N=nemo_final_size:10", {"time_reduction": 8, "bias_symmetric": False})),
    ("muse_spark_audio", Tower(MUSE_AUDIO, "0", MUSE_AUDIO_FIELDS, {"num_hidden_layers": 4})),
) for kind in kinds.split()}


@dataclass(frozen=True, eq=False)
class Part:
    """Uma torre de uma família: onde está o config dela, o tipo e o projetor até o texto."""

    kind: str  # em TOWERS; com `auto`, o do config, e este se ele não diz
    projector: str = "0"
    fields: str = ""
    config: str = "vision_config"
    auto: bool = False
    absent: Json | None = dataclasses.field(default_factory=dict)  # o config dela, se falta


LLAVA = ("k w h + b h + h^2 + b h + L h",
         "k=#.vision_feature_layer:1 b=.multimodal_projector_bias:true L:=%d")
MISTRAL3 = Part("pixtral", "w + w^2 s^2 + k w h + b h + h^2 + b h",
                "k=#.vision_feature_layer:1 s=.spatial_merge_size:2 "
                "b=.multimodal_projector_bias:false", auto=True,
                absent={"image_size": 1540, "patch_size": 14})
MUSE = Part("muse_vision", "O P + P^2 + P h",
            "O=.out_hidden_size:6144 P=.projector_hidden_size:4096")
CLIP_336 = {"hidden_size": 1024, "intermediate_size": 4096, "patch_size": 14, "image_size": 336,
            "num_hidden_layers": 24}
SO400M = {"hidden_size": 1152, "intermediate_size": 4304, "patch_size": 14, "image_size": 384,
          "num_hidden_layers": 26, "vision_use_head": False}
FAMILY_TOWERS = {name: parts for names, parts in (
    ("llava", (Part("clip_vision_model", LLAVA[0], LLAVA[1] % 0, auto=True, absent=CLIP_336),)),
    ("llava_next llava_next_video",
     (Part("clip_vision_model", LLAVA[0], LLAVA[1] % 1, auto=True, absent=CLIP_336),)),
    ("llava_onevision",
     (Part("siglip_vision_model", LLAVA[0], LLAVA[1] % 1, auto=True, absent=SO400M),)),
    ("vipllava", (Part("clip_vision_model", "2 k w + k w h + h + h^2 + h",
                       "k=#.vision_feature_layer:5", auto=True, absent=CLIP_336),)),
    ("mistral3", (MISTRAL3,)),
    ("mistral_large4", (replace(MISTRAL3, absent={
        "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 30,
        "image_size": 1540, "patch_size": 14}),)),
    ("lighton_ocr", (Part("pixtral", "w + w^2 s^2 + w h + h^2", "s=.spatial_merge_size:2",
                          auto=True, absent={"image_size": 1540, "patch_size": 14}),)),
    ("qwen2_vl", (Part("qwen2_vl_vision"),)),
    ("qwen2_5_vl", (Part("qwen2_5_vl_vision"),)),
    ("exaone4_5", (Part("exaone4_5_vision"),)),
    ("qwen3_vl qwen3_vl_moe cosmos3_omni", (Part("qwen3_vl_vision"),)),
    ("qwen3_5 qwen3_5_moe qwen4_exp", (Part("qwen3_5_vision"),)),
    ("qwen2_5_omni qwen2_5_omni_thinker", (
        Part("qwen2_5_vl_vision"), Part("qwen2_5_omni_audio_encoder", config="audio_config"))),
    ("qwen3_omni_moe qwen3_omni_moe_thinker", (
        Part("qwen3_vl_vision"), Part("qwen3_omni_moe_audio_encoder", config="audio_config"))),
    ("gemma3 shieldgemma2", (Part("siglip_vision_model", "w h + w", auto=True),)),
    ("gemma4 diffusion_gemma", (
        Part("gemma4_vision", "w h", absent=None),
        Part("gemma4_audio", "o h", config="audio_config", absent=None))),
    ("gemma3n", (Part("mobilenet_v5", "v w + 2 w + w h"),
                 Part("gemma3n_audio", "v w + 2 w + w h", config="audio_config"))),
    ("llama4", (Part("llama4_vision_model", "o h"),)),
    ("mllama", (Part("mllama_vision_model", "o h + h"),)),
    ("internvl", (Part("internvl_vision", "2 m + m h + h + h^2 + h",
                       "r=.downsample_ratio:0.5 m:=w*r^-2", auto=True),)),
    ("kimi_k25", (Part("kimi_k25_vision", "2 P + m^2 + m + m h + h",
                       "P=.projection_hidden_size:1152"),)),
    ("kimi_k3", (Part("kimi_k3_vision", "w + m^2 + m h"),)),
    ("minimax_m3_vl", (Part("minimax_m3_vl_vision", "w P + 2 P + 2 P h + 2 h + M P",
                            "s=spatial_merge_size:2 P=.projector_hidden_size:6144 M:=h*s^2"),)),
    ("glm4v glm4v_moe glm46v glmga", (Part("glm4v_vision"),)),
    ("glm_ocr", (Part("glm_ocr_vision"),)),
    ("glm5_next", (Part("glm5_next_vision"),)),
    ("hy_v4_vl", (Part("hy_v4_vl_vision"),)),
    ("hunyuan_vl", (Part("hunyuan_vl_vision"),)),
    ("muse_glimmer", (MUSE,)),
    ("muse_spark", (MUSE, Part("muse_spark_audio", config="audio_config"))),
    ("step3p7", (Part("step3p5_vision", "4 w h + b h", "b=.projector_bias:false"),)),
    ("nemotron_h_omni", (Part("radio", "m + m P + P h",
                              "r=.downsample_ratio:0.5 z=.vision_hidden_size:1280 m:=z*r^-2 "
                              "P=.projector_hidden_size:4096"),)),
    ("ernie4_5_vl_moe", (Part("ernie4_5_vl_moe_vision",
                              "3 m^2 + T m^2 + 4 m + 4 m + m h + h + h"),)),
    ("cohere2_vision", (Part("siglip_vision_model", "m A + A + B h + h",
                             "d=.downsample_factor:2 m:=w*d^2 "
                             "A=.alignment_intermediate_size:36864 B:=A/2", auto=True,
                             absent={"hidden_size": 1152, "image_size": 512,
                                     "num_hidden_layers": 27}),)),
    ("aya_vision", (Part("siglip_vision_model", "2 m + m A + A + B h + h",
                         "d=.downsample_factor:2 m:=w*d^2 "
                         "A=.alignment_intermediate_size:h B:=A/2", auto=True,
                         absent={**SO400M, "image_size": 384}),)),
    ("idefics2", (Part(
        "idefics2_vision",
        "2 w F + F h + L h + h + 3 D h + 2 D h q + 2 D h k + 12 D h^2",
        "F=.text_config.intermediate_size:14336 "
        "L=.perceiver_config.resampler_n_latents:64 D=.perceiver_config.resampler_depth:3 "
        "a=.perceiver_config.resampler_n_heads:16 v=.perceiver_config.num_key_value_heads:4 "
        "d=.perceiver_config.resampler_head_dim:96 q:=a*d k:=v*d"),)),
    ("idefics3", (Part("idefics3_vision", "w s^2 h", "s=.scale_factor:2"),)),
    ("smolvlm", (Part("smolvlm_vision", "w s^2 h", "s=.scale_factor:2"),)),
    ("paligemma", (Part("siglip_vision_model", "w P + P", "P=.projection_dim:2048", auto=True,
                        absent={"hidden_size": 1152, "intermediate_size": 4096, "patch_size": 14,
                                "num_hidden_layers": 27, "vision_use_head": False}),)),
    ("lfm2_vl", (Part("siglip2_vision_model", "2 N m + m P + b P + P h + b h",
                      "d=.downsample_factor:2 m:=w*d^2 N=.projector_use_layernorm:true "
                      "b=.projector_bias:true P=.projector_hidden_size:2560", auto=True),)),
    ("ovis2", (Part("ovis2_vision", "V z", "z=.hidden_size:1536"),)),
    ("aria", (Part("idefics3_vision",
                   "Q w + 3 w^2 + 4 w^2 + 4 w + w^2 + w + 6 w + w F + F h",
                   "Q=.max_value_projector_patch_to_query_dict:256 "
                   "F=.text_config.hidden_size:4096", auto=True),)),
    ("molmo2", (Part(
        "molmo2_vision",
        "K z q + 2 K z k + q z + B q + 2 B k + B z + 2 z F + F o + 2 M F",
        "K=#.adapter_config.vision_feature_layer:2 z=.adapter_config.hidden_size:1152 "
        "a=.adapter_config.num_attention_heads:16 v=.adapter_config.num_key_value_heads:16 "
        "d=.adapter_config.head_dim:72 q:=a*d k:=v*d B=.adapter_config.attention_bias:true "
        "F=.adapter_config.intermediate_size:18944 M=.adapter_config.mlp_bias:false "
        "o=.adapter_config.text_hidden_size:3584"),)),
    ("phi4_multimodal", (
        Part("phi4_multimodal_vision", "w h + h + h^2 + h"),
        Part("phi4_multimodal_audio", "2 w h + 2 h + 2 h^2 + 2 h", config="audio_config"))),
    ("fuyu", (Part("fuyu", config=""),)),
    ("deepseek_vl_hybrid", (
        Part("siglip_vision_model", "w z + z + h^2 + h", "z:=h/2", auto=True),
        Part("sam_vision_model", "1 + w O + 9 O^2 + 4 O + 18 O^2 + 72 O^2 + 2 O h + z",
             "z:=h/2", config="high_res_vision_config", auto=True))),
    ("deepseek_vl", (Part("siglip_vision_model", "w h + h + h^2 + h", auto=True),)),
    ("got_ocr2", (Part("got_ocr2_vision", "18 O^2 + 18 O h + h^2 + h"),)),
    ("kosmos-2.5", (Part("kosmos_2_5_vision_model", "L h + w h + h + 4 h^2 + 4 h",
                         "L=.latent_query_num:2048"),)),
    ("minicpmv4_6 minicpmv4_7 minicpm_ocr", (Part(
        "minicpmv4_7_vision", "2 m + m^2 + m + m h + h",
        "m:=w*4"),)),
    ("video_llama_3", (Part("video_llama_3_vision", "w h + h + h^2 + h"),)),
    ("granite_docling", (Part("granite_docling_vision"),)),
    ("paddleocr_vl", (Part("paddleocr_vl_vision", "2 w + m^2 + m + m h + h",
                           "s=spatial_merge_size:2 m:=w*s^2"),)),
    ("cosmos3_edge", (Part("cosmos3_edge_vision", "2 w + m P + P + P h + h",
                           "s=spatial_merge_size:2 m:=w*s^2 P=.projector_hidden_size:11520"),)),
    ("inkling2 inkling2_loop", (Part("inkling2_vision"),)),
    ("qwen2_audio", (Part("qwen2_audio_encoder", "w h + h", config="audio_config", auto=True),)),
    ("voxtral", (Part("voxtral_encoder", "f h + h^2", config="audio_config", auto=True),)),
    ("audioflamingo3 musicflamingo", (Part(
        "audioflamingo3_encoder", "w h + b h + h^2 + b h", "b=.projector_bias:true",
        config="audio_config", auto=True),)),
    ("voxtral_realtime", (Part("voxtral_realtime_encoder", "w D h + h^2", "D=.downsample_factor:4",
                               config="audio_config", auto=True),)),
    ("qwen3_asr", (Part("qwen3_asr_encoder", "w^2 + w + w o + o", config="audio_config"),)),
    ("glmasr", (Part("glmasr_encoder", "f z + z + z h + h", "z:=h*2", config="audio_config",
                     auto=True),)),
    ("moss_transcribe_diarize", (Part(
        "moss_transcribe_diarize_audio", "w s h + b h + h^2 + b h + 2 h",
        "s=.audio_merge_size:4 b=.projector_bias:true", config="audio_config"),)),
    ("granite_speech granite_speech_plus", (Part(
        "granite_speech_encoder",
        "Q Z + 2 Z + 4 N Z^2 + 4 N Z + 2 N Z + 2 N Z F + N F + 3 N Z "
        "+ 2 T N Z F + T N F + 3 T N Z + 2 X Z^2 + 2 X E Z + 4 X Z + 2 X Z + Z h + h",
        "A=.window_size:15 B=.downsample_rate:5 Q:=A/B Z=.projector_config.hidden_size:768 "
        "F=.projector_config.intermediate_size:3072 N=.projector_config.num_hidden_layers:12 "
        "E=.projector_config.encoder_hidden_size:1408 "
        "D=.projector_config.cross_attention_frequency:2 X:=N/D "
        "T=.projector_config.use_qformer_text_input:false", config="encoder_config"),)),
) for name in names.split()}


# Campo do config.json → o que do checkpoint fica de fora, porque um motor de texto não o carrega.
LEFT_OUT = {"talker_config": "o talker, que gera fala", "token2wav_config": "o token2wav",
            "code2wav_config": "o code2wav"}
ESTIMATED_TOWERS = {"kimi_k3": "O projetor da torre de visão é estimado."}
TOWER_CONFIGS = ("vision_config", "audio_config", "vision_tower_config",
                 "audio_tower_config", "sound_config", "high_res_vision_config")
TOWER_FIELD = re.compile(r"(#?)(\.?)([\w.]+)(?:\[(\d)\])?(?:=(\w+))?(?::(.+))?")
ANY: Rule = (lambda v: True, "")


def tower_number(root: HfConfig, tower: HfConfig, source: str, positive: bool,
                 known: Mapping[str, Fraction]) -> Fraction:
    """O número de um campo de `Tower` ou de `Part`; o padrão pode ser uma letra conhecida."""
    found = TOWER_FIELD.match(source)
    counted, from_root, path, index, wanted, default = found.groups() if found else [""] * 6
    *parents, name = path.split(".")
    config = root if from_root else tower
    for parent in parents:
        config = config.child(parent)
    value = config.get(name, ANY, None)
    if value is None and default:
        named = {"true": Fraction(1), "false": Fraction(), wanted: Fraction(1), **known}
        return named[default] if default in named else Fraction(default)
    if wanted:
        return Fraction(value == wanted)
    items = value if isinstance(value, list) else [value]
    if counted:
        return Fraction(len(items))
    items = items[int(index):][:1] if index else items
    number: Any = items[0] if len(set(map(str, items))) == 1 else None
    limit = Fraction(1, 1000) if positive else 0
    if type(number) not in (bool, int, Fraction) or not limit <= number <= 10**8:
        raise config.fail(name, "um número positivo" if positive else "um número de 0 a 10^8")
    return Fraction(number)


def product_of(factors: str, values: Mapping[str, Fraction]) -> Fraction:
    """O produto que uma fórmula escreve.

    >>> product_of("2 w^2 i/p", {"w": Fraction(3), "i": Fraction(9), "p": Fraction(4)})
    Fraction(36, 1)
    """
    total = Fraction(1)
    for factor in factors.split():
        base, _, power = factor.partition("^")
        number, *divisor = [values[name] if name in values else Fraction(name)
                            for name in base.split("/")]
        total *= (number // divisor[0] if divisor else number) ** int(power or 1)
    return total


def sum_of(formula: str, values: Mapping[str, Fraction]) -> Fraction:
    return sum((product_of(term, values) for term in formula.split(" + ")), Fraction())


def tower_values(root: HfConfig, tower: HfConfig, fields: str,
                 known: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """As letras conhecidas e as de `fields`."""
    values, derived = dict(known), []
    for item in fields.split():
        letter, _, source = item.partition("=")
        if letter.endswith(":"):
            derived.append((letter[:-1], source.replace("*", " ")))
        else:
            divides = re.search(r"/%s\b|\b%s\^-" % (letter, letter), fields)
            values[letter] = tower_number(root, tower, source, bool(divides), values)
    for letter, formula in derived:
        values[letter] = Fraction(int(float(product_of(formula, values))))
    return values


def part_params(root: HfConfig, part: Part, hidden: int) -> int:
    """Parâmetros de uma torre com o projetor dela."""
    declared = root.child(part.config) if part.config else root
    if part.config and root.data.get(part.config) is None:
        if part.absent is None:
            return 0
        declared = replace(declared, data=part.absent)
    kind = str(declared.get("model_type", ANY, part.kind)) if part.auto else part.kind
    if kind not in TOWERS:
        raise declared.fail("model_type", "uma torre conhecida: " + ", ".join(sorted(TOWERS)))
    tower = TOWERS[kind]
    for field, value in tower.only.items():
        config = root if field.startswith(".") else declared
        if config.get(field.lstrip("."), ANY, value) != value:
            raise config.fail(field.lstrip("."), json.dumps(value))
    values = tower_values(root, declared, tower.fields, {"h": Fraction(hidden)})
    total = sum_of(tower.once, values) + values["n"] * sum_of(tower.layer, values)
    return int(total + sum_of(part.projector, tower_values(root, declared, part.fields, values)))


def tower_params(root: HfConfig, hidden: int) -> dict[str, int]:
    """Parâmetros das torres, com os projetores: "vision" e "audio", se a família as tem."""
    parts = FAMILY_TOWERS.get(str(root.data.get("model_type")), ())
    root = root.child("thinker_config") if root.data.get("thinker_config") else root
    for name in TOWER_CONFIGS:
        if root.data.get(name) and name not in {part.config for part in parts}:
            raise root.fail("model_type", "uma família cujo %s se saiba contar: %s" % (
                name, ", ".join(sorted(FAMILY_TOWERS))))
    counted = {"vision": 0, "audio": 0}
    for part in parts:
        output = "audio" if part.config in ("audio_config", "encoder_config") else "vision"
        counted[output] += part_params(root, part, hidden)
    return {name: count for name, count in counted.items() if count}


def tower_notes(root: HfConfig) -> str:
    """O que a conta das torres supõe ou deixa de fora, em frases; vazio se nada."""
    kind = str(root.data.get("model_type"))
    parts = FAMILY_TOWERS.get(kind, ())
    thinker = root.child("thinker_config") if root.data.get("thinker_config") else root
    notes = ["Sem %s: a torre é a padrão da classe." % part.config for part in parts
             if part.config and part.absent is not None and not thinker.data.get(part.config)]
    notes += ["Fica de fora %s (%s): um motor só carrega o thinker." % (what, name)
              for name, what in LEFT_OUT.items() if root.data.get(name)]
    notes += [ESTIMATED_TOWERS[kind]] if kind in ESTIMATED_TOWERS else []
    return " ".join(notes)


# ── Apêndice: famílias: Family e Decoder, as camadas que um config.json descreve

MAX_LAYERS = 4096
HF_TEXT_CONFIGS = ("text_config", "llm_config", "language_config", "thinker_config")
HF_INHERITED = ("quantization_config", "compression_config", "expert_dtype", "torch_dtype", "dtype",
                "transformers_version")
# O que uma camada é, numa lista do config.json → o tipo dela; moe e mlp são só a FFN.
HF_LAYERS = {
    "full_attention": "full", "attention": "full", "*": "full", "indexed_attention": "full",
    "deepseek_sparse_attention": "full", "minimax_m3_sparse": "indexed",
    "sliding_attention": "sliding", "chunked_attention": "chunked",
    "linear_attention": "linear", "mamba": "linear", "M": "linear", "conv": "conv",
    "hybrid": "hybrid", "compressed_sparse_attention": "compressed_sparse",
    "heavily_compressed_attention": "heavily_compressed",
    "moe": "moe", "E": "moe", "mlp": "mlp", "-": "mlp"}
HF_LAYER_LISTS = ("layer_types", "layers_block_type", "hybrid_override_pattern")
FFN_ONLY = ("moe", "mlp")
CYCLE = {"F": "full", "S": "sliding", "C": "chunked", "L": "linear", "V": "conv", "H": "hybrid"}
LayerRule = Callable[[HfConfig, int], Sequence[str]]


def cycle(letters: str, period: str = "layer_period") -> LayerRule:
    """Tipos em ciclo, as letras de CYCLE; com o campo `period`, a última fecha cada período."""
    def kinds(config: HfConfig, total: int) -> Sequence[str]:
        size = config.count(period, len(letters))
        once = letters if size == len(letters) else letters[0] * (size - 1) + letters[-1]
        listed = [CYCLE[once[i % size]] for i in range(total)]
        return without_window(config, listed)
    return kinds


def cycle_from_end(letters: str) -> LayerRule:
    """Como `cycle`, mas o ciclo termina na última camada."""
    def kinds(config: HfConfig, total: int) -> Sequence[str]:
        backwards = letters[::-1]
        listed = [CYCLE[backwards[i % len(letters)]] for i in range(total)]
        return without_window(config, listed[::-1])
    return kinds


SPANS = {"sliding": "window", "chunked": "attention_chunk_size"}


def without_window(config: HfConfig, kinds: Sequence[str]) -> Sequence[str]:
    """Sem janela ou sem bloco no config, a camada é completa."""
    missing = {kind for kind in set(kinds) if kind in SPANS
               and not config.count(SPANS[kind], 0, low=0)}
    return ["full" if kind in missing else kind for kind in kinds]


def upper_windows(config: HfConfig, total: int) -> Sequence[str]:
    """Com use_sliding_window, têm janela as camadas de `max_window_layers` em diante."""
    first = config.count("max_window_layers", total, low=0)
    windowed = config.flag("use_sliding_window")
    config.names("window")
    return without_window(config, [
        "sliding" if windowed and i >= first else "full" for i in range(total)])


def switched(rule: LayerRule) -> LayerRule:
    """A regra só vale com use_sliding_window."""
    def kinds(config: HfConfig, total: int) -> Sequence[str]:
        config.names("window")
        return (rule if config.flag("use_sliding_window") else cycle("F"))(config, total)
    return kinds


def marked(field: str, kinds_by_mark: dict[Any, str], otherwise: LayerRule) -> LayerRule:
    """Os tipos que uma lista de marcas, uma por camada, dá; sem ela, `otherwise`."""
    def kinds(config: HfConfig, total: int) -> Sequence[str]:
        marks = config.sequence(field)
        if not marks:
            return otherwise(config, total)
        if len(marks) < total or any(mark not in kinds_by_mark for mark in marks):
            raise config.fail(field, "uma marca por camada, destas: "
                              + ", ".join(map(str, kinds_by_mark)))
        return without_window(config, [kinds_by_mark[mark] for mark in marks[:total]])
    return kinds


def indices(field: str, inside: str, outside: str, otherwise: LayerRule,
            first: int = 0) -> LayerRule:
    """A lista `field` tem os índices, a contar de `first`, das camadas do tipo `inside`."""
    def kinds(config: HfConfig, total: int) -> Sequence[str]:
        listed = config.sequence(field)
        if not listed:
            return otherwise(config, total)
        if any(type(i) is not int or not first <= i < total + first for i in listed):
            raise config.fail(field, "índices de camadas de %d a %d" % (first, total + first - 1))
        chosen = set(listed)
        return [inside if i + first in chosen else outside for i in range(total)]
    return kinds


def every(period: str, offset: str, inside: str, outside: str) -> LayerRule:
    def kinds(config: HfConfig, total: int) -> Sequence[str]:
        size, start = config.count(period), config.count(offset, low=0)
        return [inside if i % size == start else outside for i in range(total)]
    return kinds


def listed_only(config: HfConfig, total: int) -> Sequence[str]:
    raise config.fail("layer_types", "uma lista com as %d camadas" % total)


def compressed_layers(config: HfConfig, total: int) -> Sequence[str]:
    """DeepSeek V4: `compress_ratios`, ou duas de 128 e, daí, uma de 128 e uma de 4."""
    ratios = config.sequence("compress_ratios")
    if not ratios:
        return ["compressed_sparse" if i > 2 and i % 2 else "heavily_compressed"
                for i in range(total)]
    if len(ratios) < total or any(type(ratio) is not int or ratio < 0 for ratio in ratios):
        raise config.fail("compress_ratios", "um inteiro por camada")
    return ["compressed"] * total


@dataclass(frozen=True, eq=False)
class Family:
    """O que o código de um `model_type` faz e o config.json não diz."""

    kinds: LayerRule = cycle("F")  # os tipos das camadas que o config não lista
    linear: str = ""  # a recorrência das camadas "linear": uma chave de MIXERS
    expert_width: str = "moe_intermediate_size"  # o campo com a largura de um especialista
    dense_width: str = "intermediate_size"
    shared_width: str = "shared_expert_intermediate_size"
    ffn_matrices: int = 3  # 2, se não há a da porta
    first_dense: int = 0  # camadas densas, se o config não diz
    one_shared_expert: bool = False  # diga o config quantos disser
    head_gate: bool = False  # uma porta por cabeça na saída da atenção
    element_gate: bool = False  # ou uma por elemento
    full_rank: bool = False  # as portas da KDA são matrizes inteiras
    sliding_kv_factor: int = 1  # cabeças de KV das camadas de janela, sobre as outras
    attentions: int = 1  # por camada, cada uma com o seu cache e a sua FFN densa
    hybrid: str = "hybrid"  # as camadas "hybrid": uma chave de MIXERS
    dense_too: bool = False  # de especialistas, mas há modelos sem eles
    tied: bool | None = None  # o único tie_word_embeddings que o código da família serve
    one_part: bool = False  # uma camada é só a atenção (ou o que a substitui) ou só a FFN
    last_full: bool = False  # a última camada é completa, diga a lista o que disser
    mtp: bool = False  # o checkpoint traz camadas MTP
    mtp_copies: bool = False  # e, em cada uma, cópias do embedding e da cabeça
    replicates_kv_heads: bool = True  # com mais GPUs de tensor parallel que cabeças de KV
    bidirectional_images: bool = False  # ainda que o config não diga
    defaults: Json = dataclasses.field(default_factory=dict)  # os da classe, se o config omite


def family(names: str, **traits: Any) -> Sequence[tuple[str, Family]]:
    """(model_type, Family) de cada nome; o que não é traço é o padrão de um campo na classe."""
    known = {field.name for field in dataclasses.fields(Family)}
    fields = {name: traits.pop(name) for name in set(traits) - known}
    return [(name, Family(defaults=fields, **traits)) for name in names.split()]


AS_DENSE = "intermediate_size"
TIED: Json = {"tie_word_embeddings": True}
GEMMA: Json = {**TIED, "head_dim": 256}
MLA: Json = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128,
             "v_head_dim": 128, "num_shared_experts": 1}
DSA: Json = {**MLA, "index_head_dim": 128, "index_topk": 2048}
DELTA_NET: Json = {
    "linear": "delta_net", "kinds": cycle("LLLF", "full_attention_interval"), "mtp": True,
    "attn_output_gate": True, "head_dim": 256, "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128, "linear_value_head_dim": 128, "linear_num_key_heads": 16,
    "linear_num_value_heads": 32}
# Onde a KDA põe cabeças, dimensão e convolução: num objeto dela, nos campos da atenção ou nos dela.
KDA_FIELDS = {
    "linear_attn_config": ("num_heads", "head_dim", "short_conv_kernel_size"),
    "own": ("kda_num_heads", "kda_head_dim", "kda_conv_kernel_dim"),
    "": ("linear_num_heads", "linear_head_dim", "linear_conv_kernel_dim")}
KDA: Json = {"linear": "kda", "linear_head_dim": 128, "linear_conv_kernel_dim": 4}
MAMBA2: Json = {"linear": "mamba2", "mamba_num_groups": 1, "mamba_conv_kernel": 4,
                "mamba_expand": 2, "mamba_num_heads": 128, "mamba_state_size": 256,
                "mamba_head_dim": None}
ONE_IN_FOUR = marked("no_rope_layers", {1: "chunked", 0: "full"},
                     cycle("CCCF", "no_rope_layer_interval"))
HF_FAMILIES: dict[str, Family] = dict(chain(
    family("llama yi internlm2 olmo olmo2 granite deepseek hunyuan_v1_dense nemotron-nas "
           "bailing_moe hyperclovax"),
    family("stablelm", num_key_value_heads=32),
    family("bitnet", num_key_value_heads=5),
    family("granite_docling_text", num_key_value_heads=4, **TIED),
    family("granite_swa", kinds=cycle("FSSS"), num_key_value_heads=4, sliding_window=128, **TIED),
    family("cwm", kinds=cycle("FSSS"), num_key_value_heads=8, head_dim=128, sliding_window=8192),
    family("jais2 phi", ffn_matrices=2),
    family("internlm3", num_key_value_heads=2, head_dim=128),
    family("seed_oss iquestcoder", num_key_value_heads=8, head_dim=128),
    family("exaone", num_key_value_heads=8),
    family("glm glm4", num_key_value_heads=2, head_dim=128),
    family("glm4v_text", num_key_value_heads=2),
    family("glm_ocr_text", num_key_value_heads=8),
    family("helium", head_dim=128, num_key_value_heads=20),
    family("ernie4_5", num_key_value_heads=2, head_dim=128, **TIED),
    family("smollm3", kinds=switched(marked("no_rope_layers", {1: "full", 0: "sliding"},
                                            cycle("FFFS", "no_rope_layer_interval"))),
           num_key_value_heads=4, use_sliding_window=False, **TIED),
    family("nemotron arcee apertus apertus1p5_text", ffn_matrices=2),
    family("ministral3", kinds=cycle("S"), num_key_value_heads=8, head_dim=128),
    family("phi3", kinds=cycle("S")),
    family("mistral ministral", kinds=cycle("S"), num_key_value_heads=8, sliding_window=4096),
    family("starcoder2", kinds=cycle("S"), ffn_matrices=2, num_key_value_heads=2, **TIED),
    family("mixtral phimoe", kinds=cycle("S"), expert_width=AS_DENSE, num_key_value_heads=8,
           num_experts_per_tok=2),
    family("qwen2", kinds=upper_windows, max_window_layers=28, sliding_window=4096,
           num_key_value_heads=32),
    family("qwen3", kinds=upper_windows, max_window_layers=28, sliding_window=4096,
           num_key_value_heads=32, head_dim=128),
    family("qwen3_vl_text", num_key_value_heads=32, head_dim=128),
    family("qwen2_vl_text qwen2_5_vl_text qwen2_vl qwen2_5_vl", kinds=upper_windows,
           max_window_layers=80, sliding_window=4096, num_key_value_heads=8),
    family("qwen2_5_omni_text", kinds=upper_windows, max_window_layers=28, sliding_window=32768,
           num_key_value_heads=4, **TIED),
    family("qwen2_moe", shared_expert_intermediate_size=5632, kinds=upper_windows,
           max_window_layers=28, sliding_window=4096,
           num_experts_per_tok=4),
    family("qwen3_moe", kinds=switched(cycle("S")), sliding_window=4096,
           num_key_value_heads=4, num_experts_per_tok=8),
    family("qwen3_vl_moe_text", num_key_value_heads=16, num_experts_per_tok=4),
    family("qwen3_omni_moe_text", num_key_value_heads=4, num_experts_per_tok=8),
    family("dots1", kinds=upper_windows, max_window_layers=62, sliding_window=4096,
           use_sliding_window=True, num_experts_per_tok=None, num_key_value_heads=32),
    family("mimo", kinds=upper_windows, mtp=True, max_window_layers=28),
    family("gemma", num_key_value_heads=16, **GEMMA),
    family("gemma2 vaultgemma", kinds=cycle("SF"), num_key_value_heads=4, sliding_window=4096,
           **GEMMA),
    family("gemma3_text", kinds=cycle("SSSSSF"), bidirectional_images=True, vocab_size=262208,
           num_attention_heads=8, num_key_value_heads=4, sliding_window=4096,
           max_position_embeddings=131072, **GEMMA),
    family("gemma3n_text", kinds=cycle("SSSSF"), num_key_value_heads=2, sliding_window=512,
           vocab_size=262400, vocab_size_per_layer_input=262144, hidden_size_per_layer_input=256,
           num_kv_shared_layers=15, altup_num_inputs=4, laurel_rank=64, hidden_size=2048,
           num_hidden_layers=35, num_attention_heads=8, intermediate_size=16384,
           max_position_embeddings=32768, **GEMMA),
    family("gemma4_text", kinds=cycle("SSSSSF"), last_full=True, num_key_value_heads=4,
           sliding_window=512, global_head_dim=512, vocab_size_per_layer_input=262144,
           hidden_size_per_layer_input=256, num_attention_heads=8, max_position_embeddings=131072,
           enable_moe_block=False, num_experts_per_tok=None, dense_too=True,
           **GEMMA),
    family("cohere", **TIED),
    family("cohere2", kinds=cycle("SSSF"), sliding_window=4096, max_position_embeddings=8192,
           **TIED),
    family("cohere2_moe", kinds=cycle("SSSF"), expert_width=AS_DENSE, head_dim=128,
           sliding_window=4096, num_experts_per_tok=2,
           dense_width="prefix_dense_intermediate_size", **TIED),
    family("olmo3", kinds=cycle("SSSF"), sliding_window=4096),
    family("exaone4", kinds=cycle("SSSF"), sliding_window=4096, num_key_value_heads=32),
    family("exaone_moe", kinds=cycle("SSSF"), sliding_window=4096, num_key_value_heads=32,
           first_dense=1, num_experts_per_tok=8, num_shared_experts=1),
    family("muse_glimmer_text", kinds=cycle_from_end("SSSF"), element_gate=True,
           num_key_value_heads=2, head_dim=128, sliding_window=2048),
    family("gpt_oss", kinds=cycle("SF"), expert_width=AS_DENSE, replicates_kv_heads=False,
           num_experts_per_tok=4,
           num_key_value_heads=8, head_dim=64, sliding_window=128),
    family("llama4_text", kinds=ONE_IN_FOUR, expert_width=AS_DENSE,
           dense_width="intermediate_size_mlp", intermediate_size_mlp=16384,
           num_key_value_heads=8, head_dim=128,
           num_experts_per_tok=1, attention_chunk_size=8192, num_shared_experts=1),
    family("minimax_m2", kinds=marked("attn_type_list", {1: "full"}, cycle("F")),
           expert_width=AS_DENSE, num_key_value_heads=8, head_dim=128, num_experts_per_tok=8),
    family("mellum", num_key_value_heads=4, head_dim=128, sliding_window=1024,
           num_experts_per_tok=8),
    family("kolibri1", kinds=cycle("SSSSF"), num_key_value_heads=4, head_dim=128,
           sliding_window=513, num_experts_per_tok=6, shared_expert_intermediate_size=512),
    family("muse_spark_text", kinds=cycle("SFSS"), element_gate=True, num_key_value_heads=16,
           head_dim=64, sliding_window=2048, num_experts_per_tok=8, moe_latent_size=4096,
           tied=False),
    family("sarvam_moe", num_key_value_heads=4, head_dim=64, first_dense=1,
           num_experts_per_tok=6, num_shared_experts=1),
    family("minimax_m3_vl_text minimax_m3", kinds=marked(
        "sparse_attention_freq", {0: "full", 1: "indexed"}, cycle("F")), expert_width=AS_DENSE,
        dense_width="dense_intermediate_size", shared_width="shared_intermediate_size",
        num_key_value_heads=4, head_dim=128, num_experts_per_tok=4, index_head_dim=128,
        index_n_heads=4, num_shared_experts=1, moe_intermediate_size=None,
        shared_intermediate_size=3072, dense_intermediate_size=12288),
    family("minimax", kinds=marked("attn_type_list", {1: "full", 0: "linear"}, cycle("FL")),
           linear="lightning", expert_width=AS_DENSE, num_key_value_heads=8,
           num_experts_per_tok=2),
    family("flex_olmo", expert_width=AS_DENSE, num_experts_per_tok=5),
    family("granitemoeshared", expert_width=AS_DENSE, shared_width="shared_intermediate_size",
           num_experts_per_tok=2),
    family("olmoe", expert_width=AS_DENSE, num_experts_per_tok=8, num_key_value_heads=16),
    family("granitemoe", expert_width=AS_DENSE, num_experts_per_tok=2),
    family("granitemoehybrid", **MAMBA2, kinds=listed_only, expert_width=AS_DENSE,
           dense_width="shared_intermediate_size", shared_width="shared_intermediate_size",
           shared_intermediate_size=1024, dense_too=True),
    family("bamba", **MAMBA2, kinds=indices("attn_layer_indices", "full", "linear", cycle("L")),
           num_key_value_heads=8, attn_layer_indices=None),
    family("zamba2", **{**MAMBA2, "mamba_num_heads": 8, "mamba_state_size": 64},
           kinds=listed_only, hybrid="shared", one_part=True,
           tied=True, attention_hidden_size=None, kv_channels=None, num_mem_blocks=1,
           adapter_rank=128, **TIED),
    family("mamba2", linear="mamba2", kinds=cycle("L"), one_part=True, mamba_num_groups=8,
           mamba_conv_kernel=4, mamba_expand=2, mamba_num_heads=128, mamba_state_size=128),
    family("mamba falcon_mamba", linear="mamba1", kinds=cycle("L"), one_part=True,
           mamba_conv_kernel=4, mamba_expand=2, mamba_state_size=16, **TIED),
    family("falcon_h1", **MAMBA2, kinds=cycle("H"), num_key_value_heads=8),
    family("nemotron_h", linear="mamba2", tied=False, kinds=listed_only, mtp=True, one_part=True,
           ffn_matrices=2, shared_width="moe_shared_expert_intermediate_size",
           num_key_value_heads=8, head_dim=128, mamba_head_dim=64,
           moe_shared_expert_intermediate_size=7688,
           mamba_ssm_cache_dtype="float32"),  # o que o motor usa se o config não diz
    family("jamba", kinds=every("attn_layer_period", "attn_layer_offset", "full", "linear"),
           linear="mamba1", dense_too=True, expert_width=AS_DENSE, num_key_value_heads=8,
           num_experts=16,
           num_experts_per_tok=2, attn_layer_period=8, attn_layer_offset=4,
           expert_layer_period=2, expert_layer_offset=1, mamba_expand=2, mamba_conv_kernel=4,
           mamba_state_size=16),
    family("lfm2", kinds=indices("full_attn_idxs", "full", "conv", cycle("F")), conv_L_cache=3,
           num_key_value_heads=8, full_attn_idxs=None, block_auto_adjust_ff_dim=True, **TIED),
    family("lfm2_moe", kinds=listed_only, conv_L_cache=3, num_key_value_heads=8, first_dense=2,
           num_experts_per_tok=4, **TIED),
    family("lfm3", kinds=listed_only, head_gate=True, conv_L_cache=7, num_key_value_heads=4,
           head_dim=128, sliding_window=256, **TIED),
    family("olmo_hybrid", linear="delta_net", kinds=cycle("LLLF"), linear_conv_kernel_dim=4),
    family("qwen3_next", **DELTA_NET, num_key_value_heads=2, mtp_num_hidden_layers=1,
           num_experts_per_tok=10, shared_expert_intermediate_size=512),
    family("qwen3_5_text", **DELTA_NET, num_key_value_heads=4),
    family("qwen3_5_moe_text", **DELTA_NET, num_key_value_heads=2, num_experts_per_tok=8,
           shared_expert_intermediate_size=512),
    family("kimi_linear", **KDA, **MLA, tied=False, num_experts_per_tok=8, first_dense=1,
           linear_num_heads=32,
           kinds=indices("full_attn_layers", "full", "linear",
                         lambda config, total: ["linear", *cycle("LLLF")(config, total)][:total],
                         first=1), mamba_ssm_cache_dtype="float32"),
    family("glm5_next_text", **KDA, **{**DSA, "qk_rope_head_dim": 0, "qk_nope_head_dim": 256,
                                       "v_head_dim": 256}, kinds=cycle("LLLF"), first_dense=3,
           linear_num_heads=64, q_lora_rank=1536, index_n_heads=32, index_kpool=16, hc_mult=4,
           hc_sinkhorn_iters=20,
           num_experts_per_tok=8, mtp=True),
    family("bailing_hybrid", linear="kda", tied=False, **MLA, kinds=cycle("LLLLLF",
           "layer_group_size"),
           head_gate=True, full_rank=True, first_dense=2, short_conv_kernel_size=4,
           **dict.fromkeys(KDA_FIELDS[""]),
           num_experts_per_tok=8, head_dim=128, mtp=True),
    family("deepseek_v2", **{**MLA, "num_shared_experts": 2}, num_experts_per_tok=None, mtp=True,
           mtp_copies=True,
           q_lora_rank=1536),
    family("deepseek_v3 kimi_k2", **MLA, mtp=True, mtp_copies=True, q_lora_rank=1536,
           first_dense=3, num_experts_per_tok=8),
    family("axk1", **MLA, q_lora_rank=1536, first_dense=1, num_experts_per_tok=8),
    family("sarvam_mla", **MLA, first_dense=1, num_experts_per_tok=8),
    family("youtu", **MLA, q_lora_rank=1536, **TIED),
    family("minicpm3", **{**MLA, "kv_lora_rank": 256, "qk_nope_head_dim": 64,
                          "qk_rope_head_dim": 32, "v_head_dim": None}, q_lora_rank=768, **TIED),
    family("deepseek_v32", **DSA, mtp=True, mtp_copies=True, q_lora_rank=1536, first_dense=3,
           index_n_heads=64, num_experts_per_tok=8),
    family("glm_moe_dsa", **{**DSA, "qk_nope_head_dim": 192, "v_head_dim": 256}, mtp=True,
           q_lora_rank=2048, first_dense=3, index_n_heads=32, num_experts_per_tok=8),
    *(family(name, **{**DSA, "qk_nope_head_dim": 192, "v_head_dim": 256}, element_gate=True,
             q_lora_rank=query, first_dense=1, index_n_heads=heads, index_topk_freq=4, hc_mult=4,
             num_experts_per_tok=8)
      for name, query, heads in (("hy_v4", 1536, 16), ("hy_v4_vl_text", 2048, 32))),
    family("mistral4", **{**MLA, "kv_lora_rank": 256, "qk_nope_head_dim": 64}, mtp=True,
           q_lora_rank=1024, num_experts_per_tok=4),
    family("mistral_large4_text", **{**DSA, "qk_nope_head_dim": 64}, first_dense=1,
           index_n_heads=32, num_experts_per_tok=4, no_rope_layer_interval=4),
    family("deepseek_v4", kinds=compressed_layers, mtp=True, head_dim=512, q_lora_rank=1024,
           sliding_window=128, o_groups=8, o_lora_rank=1024, index_head_dim=128,
           index_n_heads=64, index_topk=512, hc_mult=4, hc_sinkhorn_iters=20,
           num_experts_per_tok=6, one_shared_expert=True),
    family("glm4_moe", mtp=True, mtp_copies=True, num_key_value_heads=8, first_dense=1,
           num_experts_per_tok=8, num_shared_experts=1),
    family("glm4v_moe_text", num_key_value_heads=8, first_dense=1, num_experts_per_tok=8,
           num_shared_experts=1),
    family("glm4_moe_lite", **{**MLA, "qk_nope_head_dim": 192, "v_head_dim": 256}, mtp=True,
           q_lora_rank=768, first_dense=1, num_experts_per_tok=4),
    family("mimo_v2_flash", kinds=marked(
        "hybrid_layer_pattern", {0: "full", 1: "sliding"},
        lambda config, total: ["full", *cycle("SSSSSF")(config, total)[1:]]), mtp=True,
        sliding_kv_factor=2, num_key_value_heads=4, head_dim=192, v_head_dim=128,
        sliding_window=129, first_dense=1, num_experts_per_tok=8),
    family("step3p5 step3p7", head_gate=True, shared_width="share_expert_dim",
           swa_num_attention_heads=None, num_key_value_heads=8, head_dim=128, first_dense=3,
           share_expert_dim=1280, num_experts_per_tok=8),
    family("laguna", head_gate=True, num_key_value_heads=8, head_dim=128, sliding_window=512,
           shared_expert_intermediate_size=512, first_dense=1, num_experts_per_tok=8),
    family("ernie4_5_moe", num_key_value_heads=4, num_experts_per_tok=6, num_shared_experts=2,
           first_dense=1, **TIED),
    family("hunyuan_v1_moe", expert_width=AS_DENSE, num_shared_experts=1, num_experts_per_tok=1),
    family("hy_v3", num_key_value_heads=8, head_dim=128, first_dense=1, num_experts_per_tok=8,
           num_shared_experts=1, mtp=True),
    family("afmoe", kinds=cycle("SSSF", "global_attn_every_n_layers"), element_gate=True,
           head_dim=128, sliding_window=1024, first_dense=1, num_experts_per_tok=6,
           num_shared_experts=2),
    family("solar_open", num_key_value_heads=8, head_dim=128, num_experts_per_tok=8,
           num_shared_experts=1),
    family("longcat_flash", **{**MLA, "num_shared_experts": 0}, attentions=2, q_lora_rank=1536),
))

# Modelo de várias modalidades → o model_type do decodificador, se o text_config não o diz, depois
# da marca de quem decide se o embedding é também a cabeça: a raiz, que sem o campo diz que não ou,
# com "=", que sim; com "+", a raiz ou o text_config; com "~", só ele; com "!", nunca é.
ROOTS = (
    "aya_vision:=cohere2 cohere2_vision:=cohere2 cosmos3_omni:qwen3_vl_text "
    "deepseek_vl:=llama deepseek_vl_hybrid:=llama ernie4_5_vl_moe:=ernie4_5_vl_moe_text "
    "exaone4_5:exaone4 fast_vlm:qwen2 fun_asr_nano:=qwen3 gemma3:=gemma3_text "
    "gemma3n:=gemma3n_text gemma4:=gemma4_text glm46v:glm4v_text glm4v:+glm4v_text "
    "glm4v_moe:+glm4v_moe_text glm5_next:glm5_next_text glm_ocr:+glm_ocr_text glmasr:=llama "
    "glmga:glm4v_text got_ocr2:=qwen2 granite_speech:=granite granite_speech_plus:=granite "
    "hy_v4_vl:hy_v4_vl_text hyperclovax_vision_v2:=hyperclovax idefics2:mistral "
    "idefics3:llama internvl:=qwen2 janus:=llama kimi_k25:=deepseek_v3 kimi_k3:kimi_linear "
    "lfm2_vl:=lfm2 lfm3_vl:=lfm3 llama4:~llama4_text llava:+llama llava_next:llama "
    "llava_next_video:+llama llava_onevision:+qwen2 minicpmv4_6:qwen3_5_text "
    "minicpmv4_7:qwen3_5_text minicpm_ocr:=qwen3_5_text minimax_m3_vl:+minimax_m3_vl_text "
    "mistral3:=mistral mistral_large4:mistral_large4_text moss_transcribe_diarize:=qwen3 "
    "muse_glimmer:muse_glimmer_text nemo_speechlm:nemotron_h nemotron_h_omni:nemotron_h "
    "ovis2:=qwen2 paligemma:=gemma perception_lm:llama qianfan_ocr:qwen3 "
    "qwen2_5_omni:qwen2_5_omni_text qwen2_5_omni_thinker:qwen2_5_omni_text "
    "qwen2_5_vl:+qwen2_5_vl_text qwen2_audio:!qwen2 qwen2_vl:+qwen2_vl_text "
    "qwen3_5:qwen3_5_text qwen3_5_moe:qwen3_5_moe_text qwen3_asr:=qwen3 "
    "qwen3_omni_moe:qwen3_omni_moe_text qwen3_omni_moe_thinker:qwen3_omni_moe_text "
    "qwen3_vl:qwen3_vl_text qwen3_vl_moe:qwen3_vl_moe_text shieldgemma2:+gemma3_text "
    "smolvlm:llama step3p7:step3p5 video_llama_3:+qwen2 video_llava:llama vipllava:llama "
    "voxtral:!llama muse_spark:muse_spark_text granite_docling:=granite_docling_text "
    "lighton_ocr:=qwen3")
HF_ROOTS = dict(item.split(":") for item in ROOTS.split())
HF_PATTERN = {"F": "full", "S": "shared"}  # de index_topk_pattern, como em indexer_types
# Recusa-se o campo que parece de atenção ou de cache, ninguém leu e não está em HF_INERT.
HF_SUSPECT = ("attn|attention|window|kv_|_kv|lora|ssm|mamba|compress|sparse|latent|stride|share|"
              "cla_|moe|expert|conv_|index")
HF_INERT = ("(bias|dropout|pdrop|softcapping|multipliers?|scal(ar?|e|ing_factor)|tuning|theta|_mod|"
            "_norm|pattern|interval|max_window_layers|chunk_size|expand|hidden_act|kernels|_dtype|"
            "topk(_freq|_offset)?|interleave|renormalize|mtp_iteration|bidirectional_attention|"
            "dual_chunk_attention_config|aux_loss_coef|logits?|output_attentions|in_fp32|overlap|"
            "_for_llm_compressor|enable_moe_block|before_gate|norm_type|swiglu_limits_shared|"

                       "_input|fp32_combine|expert_group|every_n_layers|use_grouped_topk|combination_strategy|selection_fn|zero_expert_.*|"

                       "block_size|index_(local|topk)_blocks?|select_tail|_epsilon|_eps|token_index|norm_min)$|implementation|router|_(alpha|beta)_factor|"
            "^use_(mamba_kernels|qk_norm|attention_gate)$")


@dataclass(frozen=True, eq=False)
class Decoder:
    """O decodificador de texto: `config` tem o que herda da raiz e o que a família supõe.

    `given` são os nomes que o config.json traz. Da camada `own_kv` em diante, o KV é de outra.
    """

    config: HfConfig
    given: Sequence[str]
    family: Family
    hidden: int
    experts: int
    kinds: Sequence[str]  # o tipo de cada camada: os valores de HF_LAYERS, ou compressed
    routed: Sequence[bool]  # se a FFN de cada camada é de especialistas
    own_kv: int
    vocab_size: int

    def layer(self, i: int) -> HfConfig:
        return self.config.at_layer(i)


def text_of(root: HfConfig) -> HfConfig:
    """O objeto que descreve o decodificador de texto."""
    name = next((name for name in HF_TEXT_CONFIGS if root.data.get(name)), None)
    if name is None:
        return root
    if len(root.path) > 2:
        raise root.fail(name, "um config.json com menos objetos aninhados")
    return text_of(root.child(name))


def tied_embeddings(root: HfConfig, own: HfConfig, mark: str) -> Any:
    """O tie_word_embeddings que vale; ABSENT: o da classe do decodificador."""
    outer, inner = (config.data.get("tie_word_embeddings") for config in (root, own))
    if mark == "!":
        return False
    if mark == "~" or (mark == "+" and not outer):
        return ABSENT if inner is None else inner
    if mark == "?":
        outer = inner if outer is None else outer
        return root.get("tie_word_embeddings", FLAG) if outer is None else outer
    return mark == "=" if outer is None else outer


def decoder_data(root: HfConfig, own: HfConfig) -> Json:
    """Os campos do decodificador: os dele e, se está dentro de outro objeto, os que herda."""
    if own is root:
        return dict(root.data)
    outer_type = str(root.data.get("model_type"))
    text_type = HF_ROOTS.get(outer_type, "?" + outer_type)
    default_type = text_type.lstrip("=+~!?")
    inherited = {name: root.data[name] for name in HF_INHERITED if name in root.data}
    data = {**inherited, "model_type": default_type, **own.data}
    data.update((name, value) for name, value in inherited.items() if data.get(name) is None)
    tied = tied_embeddings(root, own, text_type[:-len(default_type)] if default_type else "?")
    data.pop("tie_word_embeddings", None)
    return data if tied is ABSENT else {**data, "tie_word_embeddings": tied}


def read_decoder(root: HfConfig) -> Decoder:
    own = text_of(root)
    data = decoder_data(root, own)
    given = tuple(data)
    config = HfConfig(root.file, data, own.path).few()  # copiado a cada camada
    rules = family_of(config)
    config.fill(rules.defaults)
    experts = experts_of(config, rules)
    config.names(rules.expert_width)  # que um modelo denso também pode trazer
    kinds = layer_kinds(config, rules)
    own_kv = len(kinds) - config.count("num_kv_shared_layers", 0, low=0)
    return Decoder(config, given, rules, config.count("hidden_size"), experts, kinds,
                   routed_layers(config, rules, kinds, experts),
                   own_kv, config.count("vocab_size"))


def experts_of(config: HfConfig, rules: Family) -> int:
    """Especialistas roteados; só as famílias que também são densas podem ter menos de dois."""
    if rules.tied is not None and config.flag("tie_word_embeddings") is not rules.tied:
        raise config.fail("tie_word_embeddings", "%s, como no código da família"
                          % str(rules.tied).lower())
    if "num_experts_per_tok" not in rules.defaults or rules.dense_too:
        return config.count("num_experts", 0, low=0)
    return config.count("num_experts", low=2)


def family_of(config: HfConfig) -> Family:
    model_type = config.data.get("model_type")
    if not isinstance(model_type, str) or model_type not in HF_FAMILIES:
        raise config.fail("model_type", "uma destas arquiteturas: %s (ou descreva o modelo em "
                          "models.json)" % ", ".join(sorted({*HF_FAMILIES, *HF_ROOTS})))
    return HF_FAMILIES[model_type]


def check_read(decoder: Decoder) -> None:
    """Levanta `SizingError` se não foi lido um campo que parece mudar o cache."""
    config = decoder.config
    for name in decoder.given:
        value = config.data[name]
        known = name in config.read or re.search(HF_INERT, name)
        if value and re.search(HF_SUSPECT, name) and not known:
            raise SizingError(config.file, "campo de atenção ou de cache que não é entendido",
                              path=(*config.path, name), value=value)


def layer_kinds(config: HfConfig, rules: Family) -> Sequence[str]:
    """O tipo de cada camada: pela lista do config, ou pela regra da família."""
    drafts = config.count("num_mtp_layers", 0, low=0, high=64)
    config.names("use_sliding_window")  # sem janela, não muda nada
    for name in HF_LAYER_LISTS:
        if config.data.get(name) is not None:
            kinds = listed_kinds(config, name, drafts)
            config.names("window")  # que pode sobrar, sem camada que a use
            if "sliding" in kinds and config.get("use_sliding_window", FLAG, None) is False:
                raise config.fail("use_sliding_window", "true, pois %s tem janelas" % name)
            break
    else:
        total = config.count("num_layers", high=MAX_LAYERS)
        kinds = rules.kinds(nested_attention(config), total)
    return [*kinds[:-1], "full"] if rules.last_full else kinds


def nested_attention(config: HfConfig) -> HfConfig:
    """O objeto em que algumas famílias põem os campos da atenção, ou o próprio config."""
    for name in ("linear_attn_config", "sparse_attention_config"):
        if config.data.get(name):
            return config.child(name)
    return config


def listed_kinds(config: HfConfig, name: str, drafts: int) -> Sequence[str]:
    """Os tipos da lista, que pode falar também das camadas que rascunham."""
    listed = config.data[name]
    size = len(listed) if isinstance(listed, (list, str)) else ABSENT
    total = config.count("num_layers", size, high=MAX_LAYERS)
    if size is ABSENT or total > MAX_LAYERS or size - total not in (0, drafts):
        raise config.fail(name, "uma lista com as %d camadas" % total if total <= MAX_LAYERS
                          else "uma lista com até %d camadas" % MAX_LAYERS)
    if any(str(item) not in HF_LAYERS for item in listed):
        raise config.fail(name, "camadas destes tipos: " + ", ".join(HF_LAYERS))
    return [HF_LAYERS[str(item)] for item in listed[:total]]


ROUTING = ("mlp_layer_types", "expert_layers", "moe_layer_freq", "first_k_dense_replace",
           "moe_layer_end_index", "decoder_sparse_step", "expert_layer_offset", "mlp_only_layers")
ROUTED = {"sparse": True, "moe": True, "hash_moe": True, "dense": False, 0: False, 1: True}


def routed_layers(config: HfConfig, rules: Family, kinds: Sequence[str],
                  experts: int) -> Sequence[bool]:
    """Quais camadas têm especialistas: por lista, ou por começo, fim, passo e exceções."""
    total = len(kinds)
    for field in ROUTING:
        config.names(field)
    if experts < 2 or not config.get("enable_moe_block", FLAG, True):
        return [False] * total  # com um só, a FFN é densa
    if rules.one_part:
        return [kind == "moe" for kind in kinds]
    for field in ("mlp_layer_types", "moe_layer_freq"):
        marks = config.data.get(field)
        if isinstance(marks, list):
            if len(marks) < total or any(mark not in ROUTED for mark in map(hashable, marks)):
                raise config.fail(field, "uma marca por camada: dense ou sparse, 0 ou 1")
            return [ROUTED[mark] for mark in marks[:total]]
    listed = expert_layers(config)
    if listed is not None:
        return [i in listed for i in range(total)]
    config.count("moe_layer_freq", 1, high=1)  # que o vLLM segue e o transformers ignora
    first = config.count("first_k_dense_replace", rules.first_dense, low=0)
    last = config.count("moe_layer_end_index", -1, low=-1) % total
    step = config.count("decoder_sparse_step", 1)
    offset = config.count("expert_layer_offset", step - 1, low=0)
    dense = set(config.get("mlp_only_layers", INDICES, []))
    return [first <= i <= last and i % step == offset and i not in dense for i in range(total)]


def hashable(item: Any) -> Any:
    return item if isinstance(item, (str, int)) else None


def expert_layers(config: HfConfig) -> set[int] | None:
    """Os índices das camadas de especialistas, se o config os lista."""
    name, listed = config.named("expert_layers")
    if listed is None:
        return None
    items = listed.split(",") if isinstance(listed, str) else listed
    if not isinstance(items, list) or len(items) > MAX_LAYERS or not all(
            re.fullmatch(r"\s*\d{1,5}\s*", str(item)) for item in items):
        raise config.fail(name, "uma lista de índices de camadas")
    return {int(item) for item in items}


@dataclass(frozen=True, eq=False)
class Layer:
    """Uma camada, ou parte dela: os grupos do cache e os parâmetros de cada módulo."""

    groups: Sequence[Json] = ()
    modules: dict[str, int] = dataclasses.field(default_factory=dict)


def projections(prefix: str, **params: int) -> dict[str, int]:
    return {prefix + name: count for name, count in params.items() if count}


def matrices(prefix: str, size: int, count: int) -> dict[str, int]:
    """As matrizes de uma FFN, de `size` parâmetros cada uma."""
    names = ("gate_proj", "up_proj", "down_proj")[-count:]
    return projections(prefix, **dict.fromkeys(names, size))


def attention_heads(decoder: Decoder, config: HfConfig, sliding: bool) -> tuple[int, int]:
    """(cabeças, cabeças de KV) de uma camada."""
    heads = config.count("num_attention_heads")
    kv_heads = config.count("num_key_value_heads", heads)
    if sliding:
        other = config.child("attention_other_setting")
        heads = config.count("swa_num_attention_heads", other.count("num_attention_heads", heads))
        factor = decoder.family.sliding_kv_factor
        kv_heads = config.count("swa_num_key_value_heads", kv_heads * factor)
    return heads, kv_heads


def heads_layer(decoder: Decoder, i: int) -> Layer:
    """K e V por cabeça: de todo o contexto, de uma janela ou de um bloco."""
    config, hidden, kind = decoder.layer(i), decoder.hidden, decoder.kinds[i]
    heads, kv_heads = attention_heads(decoder, config, kind == "sliding")
    head_dim = config.count("head_dim", hidden // heads)
    value_dim = config.count("v_head_dim", head_dim)
    if kind == "sliding":
        head_dim = config.count("swa_head_dim", head_dim)
        value_dim = config.count("swa_v_head_dim", value_dim)
    block = layer_block(config, i, "attention")
    if block:
        replaced = replaced_params(block, hidden)
        if replaced is not None:
            return Layer(modules=projections("self_attn.", linear=replaced))
        kv_heads = max(heads // block.count("n_heads_in_group"), 1)
    key_is_value = config.flag("attention_k_eq_v") and kind == "full"
    if kind == "full" and "global_head_dim" in config.data:  # Gemma 4
        head_dim = value_dim = config.count("global_head_dim", head_dim)
        global_kv_heads = config.count("num_global_key_value_heads", kv_heads)
        kv_heads = global_kv_heads if key_is_value else kv_heads
    gated = decoder.family.element_gate or config.flag("attn_output_gate")
    gate = heads * value_dim if gated else heads * head_gated(decoder, config)
    modules = projections(
        "self_attn.", q_proj=hidden * heads * head_dim, o_proj=heads * value_dim * hidden,
        g_proj=hidden * gate)
    if i >= decoder.own_kv:
        return Layer(modules=modules)
    modules.update(projections("self_attn.", k_proj=hidden * kv_heads * head_dim,
                               v_proj=hidden * kv_heads * value_dim * (not key_is_value)))
    group = {"kind": kind, "kv_heads": kv_heads, "k_dim": head_dim, "v_dim": value_dim}
    if kind == "sliding":
        group["window"] = window_of(config)
    if kind == "chunked":
        group["chunk"] = config.count("attention_chunk_size")
    return Layer([group], modules)


def head_gated(decoder: Decoder, config: HfConfig) -> bool:
    """Há uma porta por cabeça; a Laguna o diz em `gating`."""
    if config.named("gating")[1] not in (None, True, "per-head"):
        raise config.fail("gating", "true ou per-head")
    return decoder.family.head_gate


def window_of(config: HfConfig) -> int:
    """A janela; sliding_window_size não conta o próprio token."""
    name, _ = config.named("window")
    window = config.count("window")
    if config.data.get("use_bidirectional_attention") == "all":
        return window // 2 + 1
    return window + (name == "sliding_window_size")


def indexed_heads_layer(decoder: Decoder, i: int) -> Layer:
    """MiniMax M3: K e V por cabeça e um indexador, que escolhe os blocos que a consulta lê."""
    kinds = list(decoder.kinds)
    kinds[i] = "full"
    layer, nested = heads_layer(replace(decoder, kinds=kinds), i), nested_attention(decoder.config)
    dim, heads = nested.count("index_head_dim"), nested.count("index_n_heads")
    modules = projections("self_attn.indexer.", wq_b=decoder.hidden * heads * dim,
                          wk=decoder.hidden * dim)
    return Layer([*layer.groups, {"kind": "indexer", "index_head_dim": dim}],
                 {**layer.modules, **modules})


def latent_layer(decoder: Decoder, i: int, prefix: str = "self_attn.") -> Layer:
    """MLA, com o indexador da DSA onde há um."""
    config, hidden = decoder.layer(i), decoder.hidden
    heads, rank = config.count("num_attention_heads"), config.count("kv_lora_rank")
    query, value = config.count("q_lora_rank", 0), config.count("v_head_dim")
    rope = config.count("qk_rope_head_dim", low=0)
    head = rope + config.count("qk_nope_head_dim")
    if config.sequence("kv_source_layers")[i:i + 1] not in ([], [i]):
        raise config.fail("kv_source_layers", "cada camada com o seu próprio KV")
    if ignores_positions(config, i):
        rope = 0
    gated = decoder.family.element_gate or config.flag("mla_use_output_gate")
    gate = heads * value if gated else heads * decoder.family.head_gate
    modules = projections(
        prefix, q_a_proj=hidden * query, kv_a_proj_with_mqa=hidden * (rank + rope),
        kv_b_proj=rank * heads * (head - rope + value), o_proj=heads * value * hidden,
        g_proj=hidden * gate)
    modules[prefix + ("q_b_proj" if query else "q_proj")] = (query or hidden) * heads * head
    groups: list[Json] = [{"kind": "mla", "kv_lora_rank": rank, "qk_rope_head_dim": rope}]
    dim = config.count("index_head_dim", 0)
    if dim and own_indexer(config, i):
        pool = config.count("index_kpool", 0, low=0)
        index_heads = config.count("index_n_heads")
        modules.update(projections(
            prefix + "indexer.", wq_b=(query or hidden) * index_heads * dim,
            wk=hidden * dim * (2 if pool else 1), weights_proj=hidden * index_heads))
        groups.append({"kind": "indexer", "index_head_dim": 2 * dim + 1 if pool else dim})
    return Layer(groups, modules)


def ignores_positions(config: HfConfig, i: int) -> bool:
    """A camada não tem RoPE (Mistral Large 4): a lista o diz, ou uma a cada intervalo."""
    interval = config.count("no_rope_layer_interval", 0, low=0)
    marks = config.sequence("no_rope_layers")
    if marks:
        return i < len(marks) and marks[i] == 0
    return interval > 0 and (i + 1) % interval == 0


def own_indexer(config: HfConfig, i: int) -> bool:
    """A camada tem indexador próprio; as "shared" usam o da última que tem. MTP tem o seu."""
    types = config.data.get("indexer_types")
    if types is None and config.data.get("index_topk_pattern") is not None:
        types = config.data["index_topk_pattern"]
    config.read.add("indexer_types")
    if types is None:
        freq = config.count("index_topk_freq", 1, low=0) or 1
        offset = config.count("index_skip_topk_offset", 2, low=0)
        return max(i - offset + 1, 0) % freq == 0
    if not isinstance(types, (list, str)) or any(
            HF_PATTERN.get(str(item), item) not in HF_PATTERN.values() for item in types):
        raise config.fail("indexer_types", "full ou shared em cada camada")
    return i >= len(types) or HF_PATTERN.get(types[i], types[i]) == "full"


def compressed_layer(decoder: Decoder, i: int) -> Layer:
    """DeepSeek V4: janela em toda camada e um vetor K = V a cada `ratio` tokens."""
    config, hidden, heads = decoder.layer(i), decoder.hidden, decoder.layer(i).count(
        "num_attention_heads")
    dim, query = config.count("head_dim"), config.count("q_lora_rank")
    output, ratio = config.count("o_lora_rank"), compression_ratio(decoder, i)
    groups = [{"kind": "sliding", "kv_heads": 1, "k_dim": dim, "v_dim": 0,
               "window": config.count("sliding_window")}]
    modules = projections(
        "self_attn.", q_a_proj=hidden * query, kv_proj=hidden * dim, q_b_proj=query * heads * dim,
        o_a_proj=heads * dim * output, o_b_proj=config.count("o_groups") * output * hidden)
    indexed = 0 < ratio <= 4
    if ratio:
        groups.append({"kind": "compressed", "dim": dim, "ratio": ratio})
        width = 2 * dim if indexed else dim  # os blocos se sobrepõem
        modules.update(projections("self_attn.compressor.", kv_proj=hidden * width,
                                   gate_proj=hidden * width))
    if indexed:
        index_dim, index_heads = config.count("index_head_dim"), config.count("index_n_heads")
        groups.append({"kind": "compressed_indexer", "index_head_dim": index_dim, "ratio": ratio})
        modules.update(projections(
            "self_attn.indexer.", kv_proj=2 * hidden * index_dim, gate_proj=2 * hidden * index_dim,
            wq_b=query * index_heads * index_dim, weights_proj=hidden * index_heads))
    return Layer(groups, modules)


COMPRESSION = {"compressed_sparse": 4, "heavily_compressed": 128, "sliding": 0}


def compression_ratio(decoder: Decoder, i: int) -> int:
    """De `compress_ratios`, que cita também as MTP, ou de `compress_rates`, por tipo de camada."""
    config, kind = decoder.config, decoder.kinds[i]
    ratios = config.sequence("compress_ratios")
    if ratios or kind == "compressed":
        return int((ratios[i:i + 1] or [0])[0])
    rates = config.child("compress_rates")
    if kind not in COMPRESSION:
        raise config.fail("layer_types", "camadas que a família tem: " + ", ".join(COMPRESSION))
    return rates.count(kind + "_attention", COMPRESSION[kind], low=0)


def delta_net_layer(decoder: Decoder, i: int) -> Layer:
    """Gated delta net: convolução em 16 bits e recorrência no tipo do estado."""
    config, hidden = decoder.layer(i), decoder.hidden
    heads, value_dim = config.count("linear_num_value_heads"), config.count("linear_value_head_dim")
    key_dim, kernel = config.count("linear_key_head_dim"), config.count("linear_conv_kernel_dim")
    inner = heads * value_dim
    conv = inner + 2 * config.count("linear_num_key_heads") * key_dim
    modules = projections("linear_attn.", in_proj_qkv=hidden * conv, in_proj_z=hidden * inner,
                          in_proj_b=hidden * heads, in_proj_a=hidden * heads, conv1d=conv * kernel,
                          out_proj=inner * hidden)
    return Layer([state_group(config, "linear", heads, inner * key_dim, conv * (kernel - 1))],
                 modules)


def state_group(config: HfConfig, kind: str, heads: int, state: int, conv: int) -> Json:
    """`state` e `conv`: números da recorrência, no tipo do estado, e da convolução, em 16 bits."""
    state_bytes = state * config.dtype_bits("mamba_ssm_dtype") // 8 + 2 * conv
    return {"kind": kind, "heads": heads, "state_bytes": state_bytes}


def kda_layer(decoder: Decoder, i: int) -> Layer:
    """Kimi delta attention: portas de esquecimento e de saída por elemento."""
    outer, hidden = decoder.layer(i), decoder.hidden
    nested = "linear_attn_config" if outer.data.get("linear_attn_config") else ""
    config = outer.child(nested) if nested else outer
    names = KDA_FIELDS[nested or ("own" if decoder.family.full_rank else "")]
    heads, dim, kernel = map(config.count, names)
    inner = heads * dim
    gate = hidden * dim + dim * inner
    full = hidden * inner
    rank = decoder.family.full_rank
    modules = projections(
        "linear_attn.", q_proj=full, k_proj=full, v_proj=full, conv1d=3 * inner * kernel,
        f_proj=full if rank else gate, b_proj=hidden * heads,
        g_proj=full if rank or config.flag("use_full_rank_gate") else gate, o_proj=full)
    return Layer([state_group(outer, "kda", heads, inner * dim, 3 * inner * (kernel - 1))], modules)


def mamba2_layer(decoder: Decoder, i: int) -> Layer:
    config, hidden = decoder.layer(i), decoder.hidden
    heads, groups = config.count("mamba_num_heads"), config.count("mamba_num_groups")
    state, kernel = config.count("mamba_state_size"), config.count("mamba_conv_kernel")
    inner = mamba_width(config, hidden, heads)
    conv = inner + 2 * groups * state
    modules = projections("mamba.", in_proj=hidden * (conv + inner + heads),
                          conv1d=conv * (kernel + 1), out_proj=inner * hidden)
    return Layer([state_group(config, "mamba2", heads, inner * state, conv * (kernel - 1))],
                 modules)


def mamba_width(config: HfConfig, hidden: int, heads: int) -> int:
    """A largura interna: cabeças × dimensão, que `auto` ou a falta dela tira da expansão."""
    expanded = config.count("mamba_d_ssm", config.count("mamba_expand", 2) * hidden)
    head_dim = config.named("mamba_head_dim")[1]
    if head_dim is None or head_dim == "auto":
        return expanded
    return heads * config.count("mamba_head_dim")


def mamba1_layer(decoder: Decoder, i: int) -> Layer:
    config, hidden = decoder.layer(i), decoder.hidden
    inner, state = config.count("mamba_expand") * hidden, config.count("mamba_state_size")
    if decoder.family.one_part:
        inner = config.count("intermediate_size", inner)
    kernel, rank = config.count("mamba_conv_kernel"), config.named("mamba_dt_rank")[1]
    if rank is None or rank == "auto":
        rank = ceil_div(hidden, 16)
    rank = config.count("mamba_dt_rank", rank) if type(rank) is int else 0
    modules = projections(
        "mamba.", in_proj=2 * hidden * inner, conv1d=inner * kernel, out_proj=inner * hidden,
        x_proj=inner * (rank + 2 * state), dt_proj=rank * inner, A_log=inner * state)
    return Layer([state_group(config, "mamba1", inner, inner * state, inner * (kernel - 1))],
                 modules)


def lightning_layer(decoder: Decoder, i: int) -> Layer:
    """MiniMax: atenção linear, com um estado por cabeça."""
    config, hidden = decoder.layer(i), decoder.hidden
    heads = config.count("num_attention_heads")
    dim = config.count("head_dim", hidden // heads)
    full = hidden * heads * dim
    modules = projections("self_attn.", qkv_proj=3 * full, out_proj=full, output_gate=full)
    return Layer([state_group(config, "lightning", heads, heads * dim * dim, 0)], modules)


def convolution_layer(decoder: Decoder, i: int) -> Layer:
    """LFM2: uma convolução curta com portas no lugar da atenção."""
    config, hidden = decoder.layer(i), decoder.hidden
    kernel = config.count("conv_L_cache")
    modules = projections("conv.", in_proj=3 * hidden**2, conv=hidden * kernel,
                          out_proj=hidden**2)
    return Layer([state_group(config, "conv", hidden, 0, hidden * (kernel - 1))], modules)


def beside(state: Layer) -> Sequence[Json]:
    """O estado de uma Mamba2 que divide a camada com a atenção."""
    return [{**group, "kind": "parallel_mamba2"} for group in state.groups]


def hybrid_layer(decoder: Decoder, i: int) -> Layer:
    """Falcon H1: Mamba2 e atenção completa lado a lado."""
    kinds = list(decoder.kinds)
    kinds[i] = "full"
    state, heads = mamba2_layer(decoder, i), heads_layer(replace(decoder, kinds=kinds), i)
    return Layer([*heads.groups, *beside(state)], {**state.modules, **heads.modules})


def shared_layer(decoder: Decoder, i: int) -> Layer:
    """Zamba2: Mamba2 e um dos `num_mem_blocks` blocos de atenção e FFN que as camadas dividem."""
    config, hidden = decoder.layer(i), decoder.hidden
    state, heads = mamba2_layer(decoder, i), config.count("num_attention_heads")
    kv_heads, width = config.count("num_key_value_heads", heads), config.count(AS_DENSE)
    dim = config.count("attention_head_dim", 2 * hidden // heads)
    rank = config.count("adapter_rank")
    modules = {**state.modules, **projections(
        "", linear=hidden**2, ffn_adapter=rank * (hidden + 2 * width),
        attention_adapter=12 * rank * hidden * config.flag("use_shared_attention_adapter"))}
    shared = [n for n, kind in enumerate(decoder.kinds) if kind == "hybrid"]
    if config.sequence("hybrid_layer_ids") not in ([], shared):
        raise config.fail("hybrid_layer_ids", "os índices das camadas hybrid da lista de tipos")
    if shared.index(i) < config.count("num_mem_blocks"):
        modules.update(projections(
            "self_attn.", q_proj=2 * hidden * heads * dim, k_proj=2 * hidden * kv_heads * dim,
            v_proj=2 * hidden * kv_heads * dim, o_proj=heads * dim * hidden))
        modules.update(matrices("mlp.", hidden * width, 3))
    group = {"kind": "full", "kv_heads": kv_heads, "k_dim": dim, "v_dim": dim}
    return Layer([group, *beside(state)], modules)


# Tipo de camada, ou recorrência da família → quem lê o que está no lugar da atenção.
MIXERS: dict[str, Callable[[Decoder, int], Layer]] = {
    "full": heads_layer, "sliding": heads_layer, "chunked": heads_layer,
    "indexed": indexed_heads_layer, "latent": latent_layer, "compressed": compressed_layer,
    "compressed_sparse": compressed_layer, "heavily_compressed": compressed_layer,
    "conv": convolution_layer, "hybrid": hybrid_layer, "shared": shared_layer,
    "delta_net": delta_net_layer, "kda": kda_layer, "mamba1": mamba1_layer, "mamba2": mamba2_layer,
    "lightning": lightning_layer}


def mixer_layer(decoder: Decoder, i: int) -> Layer:
    kind, config = decoder.kinds[i], decoder.config
    if kind in FFN_ONLY:
        return Layer()
    if kind == "linear" and not decoder.family.linear:
        raise config.fail("layer_types", "camadas que a família tem: não as lineares")
    if kind in ("linear", "hybrid"):
        return MIXERS[getattr(decoder.family, kind)](decoder, i)
    if config.count("o_lora_rank", 0, low=0):
        return compressed_layer(decoder, i)
    if config.count("kv_lora_rank", 0, low=0) and kind in ("full", "sliding"):
        return latent_layer(decoder, i)
    return MIXERS[kind](decoder, i)


def layer_block(config: HfConfig, i: int, part: str) -> HfConfig | None:
    """A parte `attention` ou `ffn` da camada, se o config descreve cada uma (Nemotron NAS)."""
    blocks = config.sequence("block_configs")
    if not blocks:
        return None
    block: Any = blocks[i] if i < len(blocks) else None
    return HfConfig(config.file, block, (*config.path, "block_configs", i)).child(part)


def replaced_params(block: HfConfig, hidden: int) -> int | None:
    """Parâmetros do que substitui a parte, uma matriz ou nada; None se nada a substitui."""
    if block.flag("replace_with_linear"):
        return hidden**2
    return 0 if block.flag("no_op") else None


def ffn_modules(decoder: Decoder, i: int) -> dict[str, int]:
    """Os módulos da FFN da camada."""
    config, rules, hidden = decoder.layer(i), decoder.family, decoder.hidden
    kind = decoder.kinds[i]
    if rules.one_part and kind not in FFN_ONLY:
        return {}
    block = layer_block(config, i, "ffn")
    if block:
        return matrices("mlp.", block_ffn_params(block, hidden), rules.ffn_matrices)
    if decoder.routed[i]:
        both = rules.attentions > 1 or "enable_moe_block" in config.data  # densa e roteada
        dense = dense_modules(decoder, i) if both else {}
        return {**dense, **moe_modules(decoder, i)}
    return dense_modules(decoder, i)


def dense_modules(decoder: Decoder, i: int) -> dict[str, int]:
    config, rules = decoder.layer(i), decoder.family
    width = config.count(rules.dense_width, 0, low=0) or config.count("ffn_intermediate_size")
    if config.flag("block_auto_adjust_ff_dim"):
        multiple = config.count("block_multiple_of", 256)
        width = ceil_div(int(2 * width // 3 * config.get("block_ffn_dim_multiplier", FACTOR, 1)),
                         multiple) * multiple
    doubled = config.flag("use_double_wide_mlp") and i >= decoder.own_kv
    size = decoder.hidden * width * (2 if doubled else 1)
    return {("mlps.%d." % n if rules.attentions > 1 else "mlp.") + name: count
            for n in range(rules.attentions)
            for name, count in matrices("", size, rules.ffn_matrices).items()}


def block_ffn_params(block: HfConfig, hidden: int) -> int:
    """Os de uma das três matrizes; o que as substitui se divide por elas."""
    replaced = replaced_params(block, hidden)
    if replaced is not None:
        return replaced // 3
    width: int = 2 * block.get("ffn_mult", FACTOR) * hidden // 3
    return hidden * ceil_div(width, 256) * 256


def moe_modules(decoder: Decoder, i: int) -> dict[str, int]:
    config, rules, hidden = decoder.layer(i), decoder.family, decoder.hidden
    experts = config.count("num_experts")
    width, latent = config.count(rules.expert_width), config.count("moe_latent_size", 0, low=0)
    copies = config.count("num_shared_experts", 0, low=0)
    copies = 1 if rules.one_shared_expert else copies
    shared = config.count(rules.shared_width, 0, low=0)
    if rules.shared_width == "shared_intermediate_size" and copies:
        shared *= copies
    return {**matrices("mlp.experts.0.", experts * (latent or hidden) * width, rules.ffn_matrices),
            **matrices("mlp.shared_experts.", hidden * (shared or copies * width),
                       rules.ffn_matrices),
            **projections("mlp.", gate=hidden * (experts + 2 * latent))}


def extra_modules(decoder: Decoder, i: int) -> dict[str, int]:
    """O que nem é atenção nem FFN: normas, fluxos residuais, projeções por camada."""
    config, hidden = decoder.layer(i), decoder.hidden
    streams = config.count("hc_mult", 0, low=0)
    mixed = streams * (streams + 2 if "hc_sinkhorn_iters" in config.data else 2)
    by_layer = config.count("hidden_size_per_layer_input", 0, low=0)
    laurel = config.count("laurel_rank", 0, low=0)
    return projections("", norm=2 * hidden, hc=2 * mixed * streams * hidden,
                       per_layer_projection=2 * by_layer * hidden, laurel=2 * laurel * hidden)


def read_layer(decoder: Decoder, i: int) -> Layer:
    mixer = mixer_layer(decoder, i)
    groups, modules = list(mixer.groups), dict(mixer.modules)
    if decoder.family.attentions > 1:
        groups = groups * decoder.family.attentions
        modules = {name.replace("self_attn.", "self_attn.%d." % n): count
                   for name, count in modules.items() for n in range(decoder.family.attentions)}
    return Layer(groups, {**modules, **ffn_modules(decoder, i), **extra_modules(decoder, i)})


def draft_kinds(decoder: Decoder) -> Sequence[str]:
    """O tipo de cada camada MTP, ou de cada parte dela."""
    config, kinds = decoder.config, ["full"]
    name, listed = config.named("mtp_layer_types")
    if decoder.family.kinds is compressed_layers:
        kinds = ["compressed"]
    elif listed:
        if not isinstance(listed, (list, str)) or any(str(item) not in HF_LAYERS
                                                      for item in listed):
            raise config.fail(name, "camadas destes tipos: " + ", ".join(HF_LAYERS))
        kinds = [HF_LAYERS[item] for item in listed]
    elif decoder.family.one_part:
        kinds = ["full", "moe"]
    return kinds * config.count("num_mtp_layers", 0, low=0, high=64)


def read_draft_layers(decoder: Decoder) -> Sequence[Layer]:
    """As camadas MTP, depois das outras; se o checkpoint as traz, o config.json não diz."""
    kinds, first = draft_kinds(decoder) if decoder.family.mtp else [], len(decoder.kinds)
    routed = [decoder.experts > 0 and (not decoder.family.one_part or kind == "moe")
              for kind in kinds]
    longer = replace(decoder, kinds=[*decoder.kinds, *kinds], own_kv=first + len(kinds),
                     routed=[*decoder.routed, *routed])
    return [read_layer(longer, i) for i in range(first, first + len(kinds))]


def cache_groups(layers: Sequence[Layer]) -> Sequence[Json]:
    """Os grupos de `models.json`, na ordem da primeira camada de cada um."""
    counts: dict[tuple[tuple[str, Any], ...], int] = {}
    for layer in layers:
        for group in layer.groups or [{"kind": "none"}]:
            key = tuple(group.items())
            counts[key] = counts.get(key, 0) + 1
    return [{**dict(key), "layers": count} for key, count in counts.items()]


# ── Apêndice: safetensors: header_length, stored_tensors e Stored, o que dizem os cabeçalhos
#
# Um arquivo safetensors começa por 8 bytes, o comprimento do cabeçalho, e por ele, um JSON que dá o
# tipo, a forma e o lugar de cada tensor. Dos tensores nada se lê.

MAX_HEADER_BYTES, MAX_HEADERS_BYTES, MAX_TENSORS = 16 << 20, 128 << 20, 800 * 1000
MAX_SHARDS = 10**4
LFS_POINTER = b"version https://git-lfs"  # no lugar de um arquivo que não foi baixado
DTYPE_BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "C64": 64,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8}
ANY_DIGIT = bytes.maketrans(b"123456789", b"0" * 9)
WIDE_DTYPES = ("F64", "F32")  # o motor os põe em 16 bits

# Papel → os nomes de tensor que o têm, como `search`: vale o primeiro; o dos outros é dense.
TENSOR_ROLES = {
    "unused": r"^(talker|token2wav|code2wav|tts)\.",  # a voz, que o motor de texto não carrega
    "audio": r"(^|[._])(audio|speech|sound|whisper|apm)|^(model\.)?encoder\.",
    "vision": r"(^|\.)(vis(ion(?!_moe)|ual)|vit_|vpm|image|img_|sam_model|resampler|aligner|"
              r"connector|embed_vision|patch_merger|view_sep|mlp1\.|([a-z]+_)*projector)",
    "head": r"(^|\.)(lm_head|embed_out|output_layer|shared_head\.head)\.|"
            r"(^|language_model\.|\d\.)(output|head)\.w",
    "embedding": r"(^|\.)(embed_tokens\w*|(word|tok)_embeddings|ngram_embeddings|embeddings|wte|"
                 r"embed_in|tok_emb|embed)\.",
    "experts": r"(^|\.)experts[._]|\.moe\.(gate|up|down|gate_up)_proj|"
               r"block_sparse_moe\.(in|out)put_linear"}
TOWER_ROLES = ("vision", "audio")
OUTSIDE_TEXT = ("unused", *TOWER_ROLES)
MTP_TENSOR = re.compile(r"(^|\.)(mtp|nextn|eagle)")  # e as camadas depois das outras
LAYER_TENSOR = re.compile(r"(?:^|\.)layers\.(\d+)\.")
# Escalas, zeros e outros acompanhantes dos números quantizados: não são parâmetros.
COMPANION_TENSOR = re.compile(
    r"(scale|zero|_idx$|_shape$|absmax|quant_|SCB|bitmask|inv_freq)[^.]*(\.[^.]*)?$")


@dataclass(frozen=True, eq=False)
class TensorInfo:
    """Os `count` tensores iguais que só diferem no número do especialista, aqui 0."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    count: int = 1

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def stored_bytes(self) -> int:
        return self.count * ceil_div(self.elements * DTYPE_BITS[self.dtype], 8)


TensorKey = Tuple[str, str, Tuple[int, ...]]  # nome, tipo e forma


def header_length(file: str, start: bytes, file_bytes: int) -> int:
    """O comprimento do cabeçalho, dos primeiros 8 bytes de um arquivo."""
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > file_bytes - 8:
        raise SizingError(file, "o cabeçalho passa do fim do arquivo, de %d bytes: baixe-o de novo"
                          % file_bytes)
    if length > MAX_HEADER_BYTES:
        raise SizingError(file, "o cabeçalho, de %d bytes, passa de %d MiB"
                          % (length, MAX_HEADER_BYTES >> 20))
    return length


def tensor_error(file: str, name: str, field: str, value: Any, expected: str) -> SizingError:
    return SizingError(file, "espera-se " + expected, path=(name[:100], field), value=value)


def tensor_bytes(file: str, name: str, tensor: Json, data_bytes: int) -> int:
    """Os bytes de um tensor, conferidos com a forma, o tipo e o arquivo."""
    dtype: Any = tensor.get("dtype")
    shape: Any = tensor.get("shape")
    offsets: Any = tensor.get("data_offsets")
    bits = DTYPE_BITS.get(dtype) if isinstance(dtype, str) else None
    if not bits:
        raise tensor_error(file, name, "dtype", dtype, "um tipo de tensor conhecido")
    if not isinstance(shape, list) or len(shape) > 16 or not (
            {int}.issuperset(map(type, shape)) and min(shape, default=0) >= 0):
        raise tensor_error(file, name, "shape", shape, "uma lista de até 16 dimensões")
    size = ceil_div(prod(shape) * bits, 8)
    if not isinstance(offsets, list) or len(offsets) != 2 or not (
            type(offsets[0]) is type(offsets[1]) is int and offsets[1] - offsets[0] == size):
        raise tensor_error(file, name, "data_offsets", offsets,
                           "início e fim, que deem os bytes de shape e dtype")
    if offsets[0] < 0 or offsets[1] > data_bytes:
        raise tensor_error(file, name, "data_offsets", offsets[1],
                           "de 0 a %d, o fim do arquivo (baixe-o de novo)" % data_bytes)
    return size


def header_tensors(file: str, header: bytes, data_bytes: int) -> Iterator[TensorKey]:
    """Os tensores de um cabeçalho; levanta `SizingError` se ele não descreve o arquivo inteiro."""
    # O que não é um cabeçalho pode custar minutos ou GiB.
    long_number = b"0" * 20 in header.translate(ANY_DIGIT)
    if long_number and re.search(rb"[\[,:]\s*-?\d{20}", header):
        raise SizingError(file, "um número do cabeçalho passa de 19 dígitos")
    if header.count(b"[") > 2 * header.count(b"dtype") + 10**5:
        raise SizingError(file, "o cabeçalho traz listas demais para os seus tensores")
    pairs, _ = decoded_json(file, header, object_pairs_hook=tuple)  # que guarda as repetições
    left = data_bytes
    for name, tensor in pairs if isinstance(pairs, tuple) else [("", pairs)]:
        if not isinstance(tensor, tuple):
            raise SizingError(file, "espera-se um objeto JSON no cabeçalho", path=(name[:100],))
        if name != "__metadata__":
            fields = dict(tensor)
            left -= tensor_bytes(file, name, fields, data_bytes)
            yield name, fields["dtype"], tuple(fields["shape"])
    if left:
        raise SizingError(file, "os tensores somam %d bytes, e o arquivo traz %d: baixe-o de novo"
                          % (data_bytes - left, data_bytes))


def stored_tensors(headers: Iterable[tuple[str, bytes, int]]
                   ) -> tuple[Sequence[TensorInfo], Mapping[str, str]]:
    """(tensores, o arquivo de cada nome); de cada arquivo, o cabeçalho e os bytes dos tensores."""
    counts: dict[TensorKey, int] = {}
    file_of: dict[str, str] = {}
    read = 0
    for file, header, data_bytes in headers:
        read += len(header)
        shard = os.path.basename(file)
        for name, dtype, shape in header_tensors(file, header, data_bytes):
            if read > MAX_HEADERS_BYTES or len(file_of) > MAX_TENSORS:
                raise SizingError(file, "os cabeçalhos passam de %d MiB ou de %d tensores"
                                  % (MAX_HEADERS_BYTES >> 20, MAX_TENSORS))
            if name in file_of:
                raise SizingError(file, "o tensor também está em " + file_of[name],
                                  path=(name[:100],))
            file_of[name] = shard
            before, experts, after = name.partition("experts.")
            if after[:1].isdigit():
                name = before + experts + "0" + after.lstrip("0123456789")
            key = (name, dtype, shape)
            counts[key] = counts.get(key, 0) + 1
    return [TensorInfo(*key, count) for key, count in counts.items()], file_of


def index_shards(index: str, document: Any) -> Mapping[str, str]:
    """O arquivo de cada tensor, num `model.safetensors.index.json`."""
    files = HfConfig(index, document).child("weight_map").data
    if not files:
        raise SizingError(index, "espera-se um objeto com o arquivo de cada tensor",
                          path=("weight_map",))
    listed = set(map(str, files.values()))
    if len(files) > MAX_TENSORS or len(listed) > MAX_SHARDS:
        raise SizingError(index, "espera-se até %d tensores em %d arquivos"
                          % (MAX_TENSORS, MAX_SHARDS), path=("weight_map",))
    known = {shard for shard in listed if re.fullmatch(r"[^/\\\0]{1,200}\.safetensors", shard)}
    for name, shard in files.items():
        if not isinstance(shard, str) or shard not in known:
            raise SizingError(index, "espera-se o nome de um arquivo safetensors da pasta",
                              path=("weight_map", name[:100]), value=shard)
    return files


def check_shards(where: str, listed: Sequence[str], present: Sequence[str]) -> None:
    """Levanta `SizingError` se falta um dos arquivos."""
    missing = sorted(set(listed) - set(present))
    if missing:
        raise SizingError(where, "falta na pasta %s%s; baixe os arquivos que faltam, ou informe "
                          "--weights-gib" % (missing[0][:100], " (e mais %d)" % (len(missing) - 1)
                                             if len(missing) > 1 else ""))


def numbered_shards(names: Iterable[str]) -> Sequence[str]:
    """Os nomes que os números dos arquivos (`-00001-of-00003`, do 0 ou do 1) dizem existir."""
    matches = [re.fullmatch(r"(.*-)(\d{1,4}|0\d{4})(-of-(\d{1,4}|0\d{4})\..*)", name)
               for name in names]
    parts = [(match.group(1), match.group(2), match.group(3), int(match.group(4)))
             for match in matches if match]
    first = min((int(number) for _, number, _, _ in parts), default=0) > 0
    return [stem + str(i + first).zfill(len(number)) + end
            for stem, number, end, count in parts[:1] for i in range(count)]


def check_index_tensors(index: str, weight_map: Mapping[str, str], file_of: Mapping[str, str]
                        ) -> None:
    """Levanta `SizingError` se um tensor do índice não está no arquivo que ele diz."""
    if not weight_map.items() <= file_of.items():
        name, shard = min(weight_map.items() - file_of.items())
        raise SizingError(index, "o cabeçalho desse arquivo não traz o tensor: índice e arquivos "
                          "são de versões diferentes", path=("weight_map", name[:100]),
                          value=shard)


def tensor_role(name: str, draft_layers: range) -> str:
    """O papel de um tensor, pelo nome; os das camadas MTP começam por `mtp_`."""
    role = next((role for role, pattern in TENSOR_ROLES.items() if re.search(pattern, name)),
                "dense")
    layer = LAYER_TENSOR.search(name)
    drafts = MTP_TENSOR.search(name) or (layer and int(layer.group(1)) in draft_layers)
    return "mtp_" + role if drafts and role not in OUTSIDE_TEXT else role


def declared_packing(config: HfConfig) -> Sequence[tuple[int, int]]:
    """(bits, números por escala; 0: o canal inteiro) de cada formato de uma quantização."""
    quantization = config.child("quantization_config")
    groups = quantization.child("config_groups")
    formats = [groups.child(name).child("weights") for name in groups.data]
    pairs = [(item.data.get("bits") or item.data.get("num_bits"), item.data.get("group_size"))
             for item in (quantization, *formats)]
    return [(bits, max(size or 0, 0)) for bits, size in pairs
            if type(bits) is int and 0 < bits <= 16 and type(size) in (int, type(None))]


def packed_bits(tensor: TensorInfo, named: Mapping[str, TensorInfo],
                declared: Sequence[tuple[int, int]]) -> Exact:
    """Bits de um número guardado com outros num inteiro de 32 bits (GPTQ, AWQ, packed)."""
    module, usual = tensor.name.rpartition(".")[0], declared[0][0] if declared else 4
    scales = named.get(module + ".scales") or named.get(module + ".weight_scale")
    zeros = named.get(module + ".qzeros") or named.get(module + ".weight_zero_point")
    if not scales or not scales.elements:
        return usual
    if zeros and zeros.dtype == tensor.dtype and zeros.elements:  # guardados do mesmo jeito
        return Fraction(32 * zeros.elements, scales.elements)
    return min((bits for bits, group in declared
                if not group or group * bits * scales.elements == 32 * tensor.elements),
               default=usual)


def tensor_params(tensor: TensorInfo, named: Mapping[str, TensorInfo],
                  declared: Sequence[tuple[int, int]]) -> Exact:
    """Parâmetros de um tensor: dois por byte no FP4, e os que couberem nos inteiros."""
    if COMPANION_TENSOR.search(tensor.name):
        return 0
    elements = tensor.count * tensor.elements
    if tensor.dtype in ("I32", "U32"):
        return elements * 32 / Fraction(packed_bits(tensor, named, declared))
    scale = named.get(tensor.name.rpartition(".")[0] + ".scale")
    fp4 = scale and scale.dtype == "F8_E8M0" and tensor.elements == 16 * scale.elements
    return elements * (2 if tensor.dtype == "U8" or (tensor.dtype == "I8" and fp4) else 1)


@dataclass(frozen=True, eq=False)
class Stored:
    """O que há nos arquivos de um checkpoint, por papel (`tensor_role`)."""

    total_bytes: int
    bytes_by_role: Mapping[str, int]  # carregados: o que está em 32 bits, em 16
    params_by_role: Mapping[str, int]
    dtype_bytes: Mapping[str, int]  # por tipo

    def loaded_bytes(self, *roles: str) -> int:
        return sum(self.bytes_by_role.get(role, 0) for role in roles)

    def params(self, *roles: str) -> int:
        return sum(self.params_by_role.get(role, 0) for role in roles)


def stored_in(tensors: Sequence[TensorInfo], draft_layers: range,
              declared: Sequence[tuple[int, int]]) -> Stored:
    """A soma dos tensores; `draft_layers` são as camadas MTP que o config.json declara."""
    named = {tensor.name: tensor for tensor in tensors}
    loaded: dict[str, int] = {}
    params: dict[str, Exact] = {}
    dtypes: dict[str, int] = {}
    for tensor in tensors:
        role, size = tensor_role(tensor.name, draft_layers), tensor.stored_bytes
        dtypes[tensor.dtype] = dtypes.get(tensor.dtype, 0) + size
        if tensor.dtype in WIDE_DTYPES and not COMPANION_TENSOR.search(tensor.name):
            size = 2 * tensor.count * tensor.elements
        loaded[role] = loaded.get(role, 0) + size
        params[role] = params.get(role, 0) + tensor_params(tensor, named, declared)
    total = sum(tensor.stored_bytes for tensor in tensors)
    return Stored(total, loaded, {role: int(count) for role, count in params.items()}, dtypes)


def check_stored(file: str, what: str, stored: int, counted: int) -> None:
    """Levanta `SizingError` se os parâmetros dos arquivos não são os do config.json."""
    if abs(stored - counted) * 100 > counted:
        raise SizingError(file, "os safetensors da pasta trazem %d parâmetros %s, e o config.json "
                          "descreve %d: são de outro modelo, ou de um formato que não é entendido; "
                          "informe --weights-gib" % (stored, what, counted))


def check_precision(file: str, precision: str, stored: Stored, role: str) -> None:
    """Levanta `SizingError` se os bytes por parâmetro não são os da precisão declarada."""
    expected, params = WEIGHT_BITS[precision][0], stored.params(role)
    bits = Fraction(8 * stored.loaded_bytes(role), params or 1)
    if params and not Fraction(3, 5) < bits / expected < Fraction(8, 5):
        raise SizingError(file, "os safetensors da pasta têm %s bits por parâmetro, e a "
                          "quantização que o config.json declara, %s: são de checkpoints "
                          "diferentes, ou falta hf_quant_config.json"
                          % (number_text(bits), precision))


def stored_fields(file: str, stored: Stored, entry: Json, text_params: int, tied: bool) -> Json:
    """Os campos de `models.json` que os tensores dão, conferidos com os contados em `entry`."""
    tables = ("embedding",) if tied else ("embedding", "head")
    text = ("dense", *tables)
    counted_experts = entry.get("params_experts", 0)
    experts, others = stored.params("experts"), stored.params(*text)
    check_stored(file, "dos especialistas", experts, counted_experts)
    check_stored(file, "no resto do texto", others, text_params - counted_experts)
    check_precision(file, entry["native_precision"], stored,
                    "experts" if experts else "dense")
    if entry["multimodal"] and not stored.params("vision"):
        raise SizingError(file, "nenhum tensor da pasta é da torre de visão que ele descreve",
                          path=("vision_config",))
    drafts = stored.loaded_bytes("mtp_dense", "mtp_experts") > 0
    towers = stored.params(*TOWER_ROLES)
    return {
        "params_total": experts + others + towers,
        "params_active": entry["params_active"] + experts + others - text_params,
        "params_experts": experts, "params_embedding": stored.params(*tables) + towers,
        "checkpoint_bytes": stored.total_bytes,
        "weights_dense_bytes": stored.loaded_bytes(*text, *TOWER_ROLES),
        "weights_expert_bytes": stored.loaded_bytes("experts"),
        "multimodal": stored.params("vision") > 0,
        "mtp": entry["mtp"] and drafts and {
            **entry["mtp"], "dense_bytes": stored.loaded_bytes("mtp_dense"),
            "expert_bytes": stored.loaded_bytes("mtp_experts")},
        "weights_source": "safetensors",
        "notes": [entry["notes"], "Pesos lidos dos cabeçalhos safetensors: " + ", ".join(
            "%s %s" % (dtype, size_text(size)) for dtype, size in stored.dtype_bytes.items())]}


# ── Apêndice: checkpoints e config.json: model_from_hf_config, index_total_bytes

Modules = Dict[str, int]  # parâmetros de cada módulo: layers.3.self_attn.q_proj
# Papel de um módulo → os nomes; o resto são o roteador, as normas e os embeddings.
MODULE_ROLES = {"experts": r"\.experts\.", "shared": "shared_expert",
                "attention": "self_attn|linear_attn|mamba|conv",
                "dense": r"mlps?\.(\d+\.)?[a-z_]+_proj|per_layer"}
REPLICATED = re.compile(r"self_attn\.(\d\.)?(q_a_proj|kv_a_proj_with_mqa|kv_proj|indexer\.w[qk])")


def role_of(module: str) -> str:
    return next((role for role, names in MODULE_ROLES.items() if re.search(names, module)),
                "router")


def named_modules(layers: Sequence[Layer], first: int = 0) -> Modules:
    return {"layers.%d.%s" % (first + i, name): count
            for i, layer in enumerate(layers) for name, count in layer.modules.items()}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """O que um motor carrega, contado pela arquitetura."""

    modules: Modules
    mtp_modules: Modules  # das camadas que rascunham, com as projeções de entrada
    formats: Mapping[str, WeightFormat]  # de cada módulo
    embedding_modules: Modules  # a cabeça também, se não é o próprio embedding
    vision_params: int
    mtp_copied_params: int  # do embedding e da cabeça, que o motor não lê de novo

    @property
    def embedding_params(self) -> int:
        return sum(self.embedding_modules.values())

    @property
    def text_params(self) -> int:
        return self.embedding_params + sum(self.modules.values())

    @cached_property
    def expert_bytes(self) -> int:
        return self.bytes_of(expert_modules(self.modules))

    @cached_property
    def dense_bytes(self) -> int:
        text = self.bytes_of({**self.embedding_modules, **self.modules})
        return 2 * self.vision_params + text - self.expert_bytes

    @cached_property
    def replicated_bytes(self) -> int:
        """Os da atenção que todo rank do tensor parallel repete."""
        return self.bytes_of({name: count for name, count in self.modules.items()
                              if REPLICATED.search(name)})

    @cached_property
    def mtp_expert_bytes(self) -> int:
        return self.bytes_of(expert_modules(self.mtp_modules))

    @cached_property
    def mtp_dense_bytes(self) -> int:
        return self.bytes_of(self.mtp_modules) - self.mtp_expert_bytes

    @property
    def total_bytes(self) -> int:
        drafts = self.mtp_dense_bytes + self.mtp_expert_bytes + 2 * self.mtp_copied_params
        return self.dense_bytes + self.expert_bytes + drafts

    def bytes_of(self, modules: Modules) -> int:
        return sum(ceil_div(count * self.formats[name].bits, 8)
                   for name, count in modules.items())


def expert_modules(modules: Modules) -> Modules:
    return {name: count for name, count in modules.items() if role_of(name) == "experts"}


def pruned(decoder: Decoder, quantization: Quantization) -> Decoder:
    """O decodificador com os especialistas que a poda deixou, os mesmos em toda camada."""
    counts = {count for count in quantization.experts_by_layer if count is not None}
    if counts and (len(counts) > 1 or max(counts) > decoder.experts):
        raise decoder.config.child("quantization_config").fail(
            "moe_sparsity_config", "tantos especialistas em toda camada MoE, até %d"
            % decoder.experts)
    if not counts:
        return decoder
    config, experts = decoder.config, max(counts)
    data = {**config.data, config.named("num_experts")[0]: experts}
    return replace(decoder, config=replace(config, data=data), experts=experts)


HF_NOTES = "Lido do config.json; parâmetros contados pela arquitetura."


def read_checkpoint(decoder: Decoder, quantization: Quantization, layers: Sequence[Layer],
                    drafts: Sequence[Layer], tower_count: int) -> Checkpoint:
    config, hidden, vocab = decoder.config, decoder.hidden, decoder.vocab_size
    modules = named_modules(layers)
    tied = config.flag("tie_word_embeddings")
    embeddings = {"embed_tokens": vocab * hidden, "lm_head": 0 if tied else vocab * hidden}
    by_layer = config.count("hidden_size_per_layer_input", 0, low=0) * len(layers)
    if by_layer:  # Gemma 3n e 4: um embedding em cada camada
        embeddings["embed_tokens_per_layer"] = by_layer * config.count("vocab_size_per_layer_input")
        modules["per_layer_model_projection"] = by_layer * hidden
    inputs = config.count("altup_num_inputs", 1)
    modules["altup_projections"] = 2 * (inputs - 1) * hidden**2
    count = config.count("num_mtp_layers", 0, low=0) if drafts else 0
    mtp_modules = {**named_modules(drafts, len(layers)), "mtp.eh_proj": 2 * hidden**2 * count}
    copied = 2 * hidden * vocab * count if decoder.family.mtp_copies else 0
    formats = {name: quantization.format_of(name)
               for name in chain(modules, mtp_modules, embeddings)}
    return Checkpoint(modules, mtp_modules, formats, embeddings, tower_count, copied)


def index_total_bytes(file: str, document: Any) -> int:
    """Os bytes que um `model.safetensors.index.json` declara."""
    return HfConfig(file, document).child("metadata").count("total_size", high=10**15)


def check_index(file: str, index_bytes: int, computed: int) -> None:
    if abs(index_bytes - computed) * 10 > computed:
        raise SizingError(file, "o total_size do índice ao lado, %d, difere em mais de 10%% dos %d "
                          "bytes calculados com quantization_config; informe --weights-gib"
                          % (index_bytes, computed))


def context_limit(config: HfConfig, default: int | None) -> int:
    """O contexto máximo; YaRN só estende o que `max_position_embeddings` ainda não inclui."""
    limit = config.count("max_position_embeddings", default or 0)
    if not limit:
        raise config.fail("max_position_embeddings",
                          "um inteiro positivo (ou --effective-context)")
    for rope in (config.child("rope_scaling"), config.child("rope_parameters")):
        if "yarn" in (rope.data.get("rope_type"), rope.data.get("type")):
            original = rope.count("original_max_position_embeddings", limit)
            limit = max(limit, int(original * rope.get("factor", FACTOR)))
    return limit


def latent_head_dim(config: HfConfig) -> int:
    return config.count("mla_head_dim", 0, low=0) or config.count("v_head_dim", 1)


def shape_fields(decoder: Decoder, layers: Sequence[Layer], context: int | None,
                 has_dense: bool) -> Json:
    """Os campos de `models.json` que dão a forma do modelo e do cache."""
    config, groups = decoder.config, cache_groups(layers)
    heads: Json = next((group for group in groups if "k_dim" in group), {})
    fields = {
        "num_layers": len(layers) * decoder.family.attentions,
        "num_attention_heads": decoder.layer(0).count("num_attention_heads", 0, low=0),
        "num_key_value_heads": heads.get("kv_heads", 1),
        "head_dim": heads["k_dim"] if heads else latent_head_dim(config),
        "hidden_size": decoder.hidden, "vocab_size": decoder.vocab_size}
    if has_dense:
        fields["intermediate_size"] = decoder.layer(0).count("dense_intermediate_size", 0)
    fields["max_position_embeddings"] = context_limit(config, context)
    if [group["kind"] for group in groups] == ["full"] and heads["k_dim"] == heads["v_dim"]:
        fields["attention_pattern"] = "full"
    else:
        fields.update(attention_pattern="groups", groups=groups)
    if config.data.get("kv_lora_rank") or config.data.get("index_topk"):
        for field in ("qk_nope_head_dim", "v_head_dim", "index_n_heads", "index_topk"):
            fields[field] = config.count(field, 0)
    return fields


def check_root(root: HfConfig) -> None:
    """De uma família desconhecida não se sabe o que há além do texto; só os tensores diriam."""
    kind = root.data.get("model_type")
    if text_of(root) is not root and kind is not None and str(kind) not in HF_ROOTS:
        raise root.fail("model_type", "uma família conhecida, ou a pasta com os safetensors: "
                        + ", ".join(sorted(HF_ROOTS)))


def bidirectional_images(decoder: Decoder) -> bool:
    """A atenção vê cada imagem inteira: a Gemma 3 e os maiores da Gemma 4."""
    declared = decoder.config.data.get("use_bidirectional_attention") == "vision"
    return declared or decoder.family.bidirectional_images


def mtp_fields(checkpoint: Checkpoint, drafts: Sequence[Layer], known_bytes: int) -> Json:
    """O campo `mtp`: o cache e os bytes das camadas que rascunham, se o config as declara."""
    groups = [group for group in cache_groups(drafts) if group["kind"] != "none"]
    if not groups:
        return {}
    computed = checkpoint.total_bytes
    return {"groups": groups,
            "dense_bytes": checkpoint.mtp_dense_bytes * known_bytes // computed,
            "expert_bytes": checkpoint.mtp_expert_bytes * known_bytes // computed}


def moe_fields(decoder: Decoder, layers: Sequence[Layer]) -> Json:
    moe_layers = sum(decoder.routed)
    if not moe_layers:
        return {}
    return {"moe_layers": moe_layers, "num_experts": decoder.experts,
            "experts_per_token": decoder.config.count("num_experts_per_tok"),
            "moe_intermediate_size": decoder.config.count(decoder.family.expert_width)}


def idle_params(moe: Json, expert_params: int) -> int:
    """Os dos especialistas que um token não usa."""
    if not moe:
        return 0
    experts: int = moe["num_experts"]
    idle_experts: int = experts - moe["experts_per_token"]
    return expert_params // experts * idle_experts


def model_from_hf_config(file: str, config: Any, name: str, index_bytes: int | None = None,
                         weights_bytes: int | None = None, context: int | None = None,
                         tensors: Sequence[TensorInfo] = (), beside: HfConfig | None = None
                         ) -> Json:
    """A entrada de `models.json` de um config.json; o campo não entendido levanta `SizingError`.

    `weights_bytes` (informado), `tensors` (dos cabeçalhos) ou `index_bytes` (do índice ao lado)
    valem, nesta ordem, mais que os bytes calculados; `context` é o máximo de tokens se o config não
    o diz; `beside` é o `hf_quant_config.json`. As camadas MTP declaradas vão em `mtp`, na precisão
    das outras; só os tensores dizem se o checkpoint as traz.
    """
    root = HfConfig(file, config)
    decoder = read_decoder(root)
    quantization = quantization_of(decoder.config, beside)
    decoder = pruned(decoder, quantization)
    layers = [read_layer(decoder, i) for i in range(len(decoder.kinds))]
    drafts = read_draft_layers(decoder)
    if not tensors:
        check_root(root)
    towers = {} if tensors else tower_params(root, decoder.hidden)
    multimodal = bool(root.data.get("vision_config") if tensors else towers)
    checkpoint = read_checkpoint(decoder, quantization, layers, drafts, sum(towers.values()))
    expert_params = sum(expert_modules(checkpoint.modules).values())
    computed = checkpoint.total_bytes
    if index_bytes:
        check_index(file, index_bytes, computed)
    known_bytes = weights_bytes or index_bytes or computed
    moe = moe_fields(decoder, layers)
    has_dense = any(role_of(module) == "dense" for module in checkpoint.modules)
    entry = {
        "name": name, **shape_fields(decoder, layers, context, has_dense),
        "default_kv_precision": "fp8",
        "params_total": checkpoint.text_params + checkpoint.vision_params,
        "params_active": checkpoint.text_params - idle_params(moe, expert_params),
        "params_embedding": checkpoint.embedding_params + checkpoint.vision_params,
        "native_precision": checkpoint.formats[next(iter(expert_modules(checkpoint.modules)
                                                         or checkpoint.modules))].precision,
        "checkpoint_bytes": known_bytes,
        "weights_dense_bytes": max(checkpoint.dense_bytes * known_bytes // computed, 1),
        "weights_replicated_bytes": checkpoint.replicated_bytes,
        "multimodal": multimodal,
        "bidirectional_images": multimodal and bidirectional_images(decoder),
        "notes": HF_NOTES, "source": file, "assumed": "" if tensors else tower_notes(root),
        **moe, "params_experts": expert_params,
        "weights_expert_bytes": checkpoint.expert_bytes * known_bytes // computed,
        "mtp": mtp_fields(checkpoint, drafts, known_bytes),
        "weights_source": "index" if index_bytes else "counted"}
    if weights_bytes:
        entry["weights_source"] = "flag"
    elif tensors:
        first, count = len(layers), decoder.config.count("num_mtp_layers", 0, low=0, high=64)
        stored = stored_in(tensors, range(first, first + count), declared_packing(decoder.config))
        entry.update(stored_fields(file, stored, entry, checkpoint.text_params,
                                   decoder.config.flag("tie_word_embeddings")))
    check_read(decoder)
    kept = {key: value for key, value in entry.items() if value}
    return kept if decoder.family.replicates_kv_heads else {**kept, "replicates_kv_heads": False}


# ── Apêndice: recusas e avisos: explained, ways_out, warnings_of, extrapolations

LIMITS = {"plan": "plano", "engine_memory": "memória do motor", "max_num_seqs": "max_num_seqs",
          "tpot": "TPOT", "ttft": "TTFT", "ttft_p95": "P95 do TTFT"}
Option = Tuple[str, Union[Question, None]]  # (o texto, a pergunta; None se não faz sentido)


def explained(error: SizingError) -> SizingError:
    """O erro com o que falta e por quanto, se é uma recusa que ainda não o diz."""
    if isinstance(error, NothingFits) and not error.expected:
        return saying(error, error.expected + SHORTFALLS[error.short_of](error))
    return error


def plan_shortfall(error: NothingFits) -> str:
    q, nodes = error.question, error.offers[0].nodes_per_unit
    kv_bytes, budget = kv_per_session_bytes(q), nodes * kv_budget_bytes(q)
    return "uma sessão de %s em %s pede %s de KV e o orçamento de %s é de %s (faltam %s)" % (
        q.model.name, q.server.name, near_text(kv_bytes, budget, size_text, 5),
        plural(nodes, "nó"), near_text(budget, kv_bytes, size_text, 5),
        size_text(kv_bytes - budget))


def memory_shortfall(error: NothingFits) -> str:
    """A primeira sessão só entra com a reserva inteira livre, além do bloco nulo."""
    q = error.question
    needed = {layout: (layout.reserved_blocks + 1) * layout.blocks.block_bytes
              for layout in error.layouts}
    best = max(error.layouts, key=lambda item: item.kv_capacity_bytes - needed[item])
    return (
        "%s em %s: no melhor leiaute (%s em %s), por GPU, pesos de %s, motor de %s e a reserva de "
        "uma sessão, de %s, passam dos %s que o motor pode usar (faltam %s)" % (
            q.model.name, q.server.name, best, plural(best.nodes_per_unit, "nó"),
            size_text(best.weights_bytes), size_text(best.runtime_bytes),
            size_text(needed[best]), size_text(best.usable_bytes),
            size_text(needed[best] - best.kv_capacity_bytes)))


def weights_shortfall(error: NothingFits) -> str:
    """Sem os dados do teto não há leiautes, nem réplicas de vários nós."""
    q = error.question
    weights, hbm = Fraction(least_weights_bytes(q), GB), q.server.total_hbm_gb
    return "os pesos de %s, %s GB, passam dos %s GB de HBM de %s (faltam %s GB); %s" % (
        q.model.name, near_text(weights, hbm, decimal_text, 1),
        near_text(hbm, weights, decimal_text, 1), q.server.name, number_text(weights - hbm, 4),
        missing_text(missing_for_ceiling(q)) + " para réplicas de vários nós")


def network_shortfall(error: NothingFits) -> str:
    q = error.question
    return ("só réplicas de vários nós de %s admitem uma sessão de %s, e sem network_gbps_per_gpu "
            "no catálogo não há velocidade a prever" % (q.server.name, q.model.name))


def objectives_shortfall(error: NothingFits) -> str:
    """O melhor que uma sessão por réplica alcança dos objetivos, juntos, do lado que é aceito."""
    q, asked, reached = error.question, [], []
    alone = [(offer.speed, offer.layout) for offer in error.offers
             if offer.speed and offer.layout and offer.layout.ceiling_sessions]

    def times_ms(speed: Speed) -> dict[str, float]:
        return {time: speed.time_ms(time, 1) * speed.margins[time] for time in q.time_limits_ms}

    def excess(speed: Speed) -> float:
        return max(ms / q.time_limits_ms[time] for time, ms in times_ms(speed).items())

    def met(speed: Speed) -> set[str]:
        return {time for time, ms in times_ms(speed).items() if ms <= q.time_limits_ms[time]}

    # O que cada um, sozinho, alcança em algum leiaute.
    reachable: set[str] = set().union(*[met(speed) for speed, _ in alone])
    able = [item for item in alone if met(item[0]) == reachable]
    speed, layout = min(able or alone, key=lambda item: (excess(item[0]), str(item[1])))
    best_ms = times_ms(speed)
    for time, limit in (("tpot", q.max_tpot_ms), ("ttft", q.max_ttft_ms),
                        ("ttft_p95", q.max_ttft_p95_ms)):
        if limit is not None and (best_ms[time] > limit or not able):
            asked.append("%s de %s ms" % (LIMITS[time], given_text(limit)))
            reached.append(safe_text(best_ms[time], ROUND_CEILING) + " ms")
    rate = q.min_tokens_per_second
    if rate is not None and (best_ms["tpot"] > 1000 / rate or not able):
        asked.append("%s tokens/s" % given_text(rate))
        reached.append(safe_text(1000 / best_ms["tpot"], ROUND_FLOOR) + " tokens/s")
    if not able:
        asked[-1] += ", juntos,"
    confident = "" if q.confidence == EVEN else ", na ponta ruim da faixa"
    return ("com uma sessão por réplica de %s em %s e %s por pedido%s: %s fora do alcance: o "
            "melhor é %s (%s)" % (
                q.model.name, q.server.name, plural(q.ends[0], "token novo", "tokens novos"),
                confident, " e ".join(asked), " e ".join(reached), layout))


def safe_text(value: float, rounding: str) -> str:
    """Com 3 algarismos, sem 3 casas, que uma flag recusa; do lado que não promete demais."""
    return format(Context(prec=3, rounding=rounding).create_decimal(Decimal(value)), "f")


def nodes_shortfall(error: NothingFits) -> str:
    q, offer, nodes = error.question, error.offers[0], error.question.nodes or 0
    unit, spares = offer.nodes_per_unit, q.ha_spares * offer.nodes_per_unit
    given = "%s de %s" % (plural(nodes, "nó"), q.server.name)
    each = "%d por %s" % (offer.sessions_per_unit, unit_text(unit))
    if q.asks == "sessions":
        return "%s, com %d de reserva e pico de %s, não %s nem uma sessão (%s)" % (
            given, spares, percent_text(q.peak_headroom_ratio),
            "mantém" if nodes == 1 else "mantêm", each)
    reserve = " (%d de reserva)" % spares if spares else ""
    return "%s %s %s de %s (%s, limite: %s); esta carga pede %s%s" % (
        given, "admite" if nodes == 1 else "admitem",
        sessions_text(nodes // unit * offer.sessions_per_unit),
        plural(q.effective_context, "token"), each, LIMITS[offer.limited_by],
        plural(error.nodes_needed, "nó"), reserve)


SHORTFALLS = {
    "plan": plan_shortfall, "memory": memory_shortfall, "weights": weights_shortfall,
    "network": network_shortfall, "objectives": objectives_shortfall, "nodes": nodes_shortfall}


def plan_options(error: NothingFits) -> list[Option]:
    """O que faz uma sessão caber no plano de um nó."""
    q, total = error.question, error.question.server.total_hbm_gb * GB
    budget, kv_bytes = kv_budget_bytes(q), kv_per_session_bytes(q)
    context = largest(q.model.max_position_embeddings, lambda tokens: session_kv_bytes(
        q.model.kv_groups, tokens, q.kv_precision) <= budget)
    shorter = replace(q, requested_context=context or None)
    # Duas casas: com três, a flag recusa `499.784`.
    overhead = Fraction((total * q.kv_budget_ratio - kv_bytes) * 100 // GIB, 100)
    ratio = Fraction(ceil_div((kv_bytes + q.runtime_overhead_gib * GIB) * 10000, total), 10000)
    return [
        ("--kv-precision fp8", replace(q, kv_precision="fp8") if q.element_bytes == 2 else None),
        ("--effective-context %d" % context,
         shorter if context and shorter.request_fits else None),
        ("--runtime-overhead-gib " + decimal_text(overhead, 2),
         replace(q, requested_runtime_overhead_gib=overhead) if overhead >= 0 else None),
        ("--kv-budget-ratio " + decimal_text(ratio, 4),
         replace(q, kv_budget_ratio=ratio) if ratio <= 1 else None)]


MS_STEPS = 900 * 9  # os de três algarismos, de 0,1 a 10⁸ ms


def least_limit_option(q: Question, flag: str) -> Option:
    """O menor tempo de três algarismos com que a pergunta tem resposta."""
    def at(step: int) -> Option:
        ms = Fraction(100 + step % 900) * 10 ** (step // 900) / 1000
        limit: Json = {flag[2:].replace("-", "_"): float(ms)}
        return "%s %s" % (flag, given_text(ms)), replace(q, **limit)

    return at(1 + largest(MS_STEPS, lambda step: not fitting([at(step)])))


def objectives_options(error: NothingFits) -> list[Option]:
    q, fp8 = error.question, None
    if q.weights_precision in ("bf16", "fp16") and not q.engine_log:
        fp8 = replace(q, requested_weights_precision="fp8")
    turn, flags = None, "--input-tokens %d" % q.ends[-1]
    if len(q.ends) > 1:
        turn = replace(q, input_tokens=q.ends[-1], requested_context=q.effective_context)
        if q.context_source == "model":
            flags = "--effective-context %d %s" % (q.effective_context, flags)
    given = {"--max-ttft-ms": q.max_ttft_ms, "--max-ttft-p95-ms": q.max_ttft_p95_ms}
    slower = [least_limit_option(q, flag) for flag, limit in given.items()
              if limit and q.disaggregated == "yes"]
    return [*slower, (flags, None if q.context_mix else turn), ("--weights-precision fp8", fp8)]


HIGHER_UTILIZATIONS = (Fraction(92, 100), Fraction(95, 100))  # a primeira, a padrão do vLLM 0.33


def memory_options(error: NothingFits) -> list[Option]:
    """A menor das utilizações usuais, acima da que se usa, com que o motor serve a pergunta."""
    q = error.question
    options = [("--gpu-memory-utilization " + decimal_text(ratio, 2),
                replace(q, gpu_memory_utilization=ratio))
               for ratio in HIGHER_UTILIZATIONS if ratio > q.gpu_memory_utilization]
    return next(([option] for option in options if fitting([option])), [])


def nodes_options(error: NothingFits) -> list[Option]:
    more = ("--nodes %d" % error.nodes_needed, replace(error.question, nodes=error.nodes_needed))
    return [more, *memory_options(error)]


OPTIONS = {"plan": plan_options, "objectives": objectives_options, "nodes": nodes_options,
           "memory": memory_options, "network": memory_options}
TRIED = ("plan", "nodes")  # nas outras recusas, outras flags ainda poderiam servir


def fitting(options: Iterable[Option]) -> list[str]:
    return [text for text, q in options if q and attempt(q)]


def ways_out(error: NothingFits, servers: Sequence[Server]) -> str:
    """O que caberia no lugar do que foi recusado: cada flag sozinha, e os servidores."""
    q, text, found = error.question, "", []
    if error.short_of in OPTIONS:
        found = fitting(OPTIONS[error.short_of](error))
        if error.short_of in TRIED:
            text = "; nenhuma flag sozinha basta neste servidor"
    if found:
        per_node = "uma sessão por nó " if error.short_of == "plan" else ""
        text = "; %scabe com %s" % (per_node, " ou ".join(found))
    if q.has_measurement:
        return text
    auto = {"--tensor-parallel": q.tensor_parallel and replace(q, tensor_parallel=None),
            "--pipeline-parallel": q.pipeline_parallel and replace(q, pipeline_parallel=None)}
    for flag, option in auto.items():
        if option and attempt(option):
            return "%s; cabe com %s auto" % (text, flag)
    others = fitting((server.name, replace(q, server=server)) for server in servers
                     if server is not q.server)
    if others:
        return text + "; cabe em: " + ", ".join(others)
    return text if found else text + "; não cabe em nenhum servidor do catálogo"


# Limites dos avisos.
HIGH_KV_BUDGET_RATIO, TIGHT_LAST_NODE_RATIO = Fraction(75, 100), Fraction(1, 10)
HEAVY_PREFILL_RATIO, SLOW_TOKENS_PER_SECOND = 0.5, 10
FAR_CALIBRATION = 2  # medido / previsto
FAR_LOG = {"weights_gib_per_gpu": 1.15, "kv_capacity_gib_per_gpu": 1.25,
           "max_concurrency_of_logged_kv": 1.05}  # o mesmo, do log do motor
RISK = "objective_at_risk: "  # o aviso que a primeira tela mostra junto das metas
MEASURED_CONTEXT = 32768  # acima disto só há tabelas interpoladas


def extrapolations(r: SizingResult) -> list[str]:
    """O que está fora das medidas em que o modelo de velocidade foi conferido."""
    q, layouts = r.question, [r.offer.layout]
    if not r.nominal:
        return []
    layouts += [r.pools.prefill.layout] if r.pools else []
    outside = [("contexto acima de %d" % MEASURED_CONTEXT, q.effective_context > MEASURED_CONTEXT),
               ("GPU sem medidas", not q.server.speed_measured)]
    for layout in filter(None, layouts):
        nodes, stages = layout.nodes_per_unit, layout.pipeline_parallel
        gpus = layout.replica_gpus // nodes  # as que se falam dentro de um nó
        outside += [("réplica de %d nós" % nodes, nodes > 1), ("%d etapas" % stages, stages > 1),
                    ("réplica de %d GPUs" % gpus, gpus > 8 and nodes == 1),
                    ("comunicação por PCIe", gpus > 1 and not q.server.nvlink_reaches(gpus))]
    outside.append(("pesos int8", q.weights_precision == "int8"))
    return list(dict.fromkeys(text for text, is_outside in outside if is_outside))


ANSWERS = {"nodes": ("nó", "nós"), "sessions": ("sessão", "sessões"),
           "context": ("token", "tokens"), "load": ("vaga livre", "vagas livres")}
STATES = {"nominal": "com todos os nós", "peak": "no pico", "failure": "depois da falha",
          "failure_peak": "depois da falha, no pico"}
# Objetivo → (a ponta ruim da faixa, como se diz, o divisor do que se mostra).
BAD_EDGES = {"tpot_ms": ("high", "TPOT de %s ms", 1),
             "tokens_per_second": ("low", "%s tokens/s", 1),
             "ttft_ms": ("high", "1º token em %s s", 1000),
             "ttft_p95_ms": ("high", "95%% dos 1ºs tokens em até %s s", 1000)}


def product_text(server: Server) -> str:
    return server.product or server.name


def risk_texts(r: SizingResult) -> list[str]:
    """O que a ponta ruim da faixa perde, e o que a confiança custaria."""
    promised, texts = promised_states(r.question), []
    risky = {item["name"]: item for item in objectives_of(r)
             if item["verdict"] == "at_risk" and item["state"] in promised}
    for name, item in risky.items():  # de cada objetivo, o último estado, o pior
        edge, text, divisor = BAD_EDGES[name]
        texts.append("RISCO: na ponta ruim da faixa de 80%%, %s %s." % (
            text % near_text(item[edge] / divisor, item["limit"] / divisor),
            STATES[item["state"]]))
    if r.question.timed and r.question.confidence == EVEN and (risky or confidence_changes(r)):
        texts.append("Com --confidence 90%: " + confident_text(r))
    return texts


def confidence_changes(r: SizingResult) -> bool:
    return not r.confident or r.confident.answer != r.answer


def confident_text(r: SizingResult) -> str:
    if not r.confident:
        return "nada cabe"
    if r.asks != "nodes":
        return plural(r.confident.answer, *ANSWERS[r.asks])
    kw = r.confident.physical["power_kw"]
    return "%d × %s%s" % (
        r.confident.nodes_final, product_text(r.question.server),
        " (%s kW)" % decimal_text(kw, 2) if kw else "")


def risk_warning(r: SizingResult) -> Iterator[str]:
    if risk_texts(r):
        text = " ".join(risk_texts(r)).replace(". RISCO: n", ". N")
        yield RISK + text.replace("RISCO: ", "")


def warnings_of(r: SizingResult) -> list[str]:
    """`código: frase`, do mais grave ao mais leve; cada aviso diz o número que o causou."""
    return list(chain.from_iterable(part(r) for part in (
        risk_warning, load_warnings, no_speed_warning, speed_warnings, speculation_warning,
        engine_settings_warnings, log_warnings, tight_warning, ceiling_warnings,
        plan_warnings)))


def override_texts(q: Question) -> list[str]:
    """As entradas desta pergunta que tomam um nome das de fábrica."""
    return ["%s %s de %s, no lugar do de fábrica" % (
        CATALOGUES[kind].singular, entry.name, one_line(entry.overrides))
        for kind, entry in (("models", q.model), ("servers", q.server), ("storage", q.storage))
        if entry.overrides]


def other_warnings(r: SizingResult) -> list[str]:
    """Os avisos, menos o que a primeira tela diz junto das metas."""
    return [warning for warning in warnings_of(r) if not warning.startswith(RISK)]


def load_warnings(r: SizingResult) -> Iterator[str]:
    q, unit = r.question, r.offer.nodes_per_unit
    for text in override_texts(q):
        yield "catalogue_override: %s; com outro name, os dois se comparam" % text
    if (q.requested_context or 0) > q.effective_context:
        yield ("context_clamped: pedidos %d tokens, acima do máximo do modelo; dimensionado com %d"
               % (q.requested_context or 0, q.effective_context))
    if r.nodes_final == unit:
        yield "single_node: %s sem HA: se um cair, para%s %s%s" % (
            plural(unit, "nó"), "" if r.concurrency == 1 else "m", sessions_text(r.concurrency),
            spare_text(r))
    if r.pools and not q.ha_spares and min(
            plan["nodes_after_failure"] for plan in r.pools.plans(r.concurrency)) == 0:
        yield ("single_node: um lote não tem outra réplica, sem HA: se cair, o serviço para"
               + spare_text(r))
    idle = (q.nodes or 0) - r.nodes_final if r.pools else (q.nodes or 0) % unit
    if q.nodes and idle:
        yield "idle_nodes: uma réplica ocupa %d nós: dos %d nós dados, %s" % (
            unit, q.nodes, plural(idle, "fica ocioso", "ficam ociosos"))


def spare_text(r: SizingResult) -> str:
    """O que a reserva acrescenta, às vezes noutro leiaute; nada, se os nós foram dados."""
    if r.question.nodes:
        return ""
    spared = size(replace(r.asked, ha_mode="n+1"), r.capacity)
    return "; --ha n+1 acrescenta " + plural(spared.nodes_final - r.nodes_final, "nó")


def speed_gap(r: SizingResult) -> str:
    """Por que não há velocidade prevista, se não há."""
    if r.capacity.speed_missing:
        return missing_text(r.capacity.speed_missing)
    if r.offer.layout and not r.offer.speed:
        return "falta network_gbps_per_gpu no catálogo, em " + r.question.server.name
    return ""


def no_speed_warning(r: SizingResult) -> Iterator[str]:
    if r.offer.layout and not r.offer.speed:
        yield "no_speed: não há velocidade prevista: " + speed_gap(r)


def speed_warnings(r: SizingResult) -> Iterator[str]:
    """Pela pior das cargas mostradas."""
    cases = shown_cases(r)
    if not cases:
        return
    slowest = max(cases, key=lambda case: case["tpot_ms"]["estimate"])
    rate = slowest["output_tokens_per_second_per_session"]
    if rate < SLOW_TOKENS_PER_SECOND:
        yield "slow_decode: %s: %s tokens/s, abaixo de %d" % (
            load_text(r, slowest), near_text(rate, SLOW_TOKENS_PER_SECOND),
            SLOW_TOKENS_PER_SECOND)
    busiest = max(cases, key=lambda case: case["prefill_ratio"])
    queued = [case for case in cases if not case["ttft_ms"]]
    if busiest["prefill_ratio"] > HEAVY_PREFILL_RATIO or queued:
        busy = "%s: %d%% em prefill" % (
            load_text(r, busiest), 100 * busiest["prefill_ratio"])
        if r.pools:  # o decode não faz prefill
            busy = "%s, %s" % (load_text(r, queued[0]), STATES[queued[0]["state"]])
        yield "heavy_prefill: " + "; ".join([busy, *map(queue_text, queued[:1])])


def queue_text(case: Json) -> str:
    """Por que não há TTFT a prever, desde que carga, e o que fazer."""
    if case["queue_sessions_per_replica"] is None:
        return "a fila do lote de prefill não se prevê acima de %d%% do tempo ocupado" % (
            100 * QUEUE_UTILIZATION)
    return "a fila não se prevê acima de %s por réplica: use --max-ttft-ms ou --input-tokens" % (
        sessions_text(case["queue_sessions_per_replica"]))


def speculation_warning(r: SizingResult) -> Iterator[str]:
    """Na carga mais cheia das planejadas, com o pico."""
    speed, plain, until = r.offer.speed, r.offer.plain_speed, r.offer.speculation_pays_until
    if not speed or not plain:
        return
    fullest = max([case["sessions_per_replica"] for case in r.judged
                   if "failure" not in case["state"]])
    with_ms, without_ms = speed.tpot_ms(fullest), plain.tpot_ms(fullest)
    if with_ms > without_ms:
        reach = "só até %s por réplica" % sessions_text(until) if until else "com carga nenhuma"
        if until is None or until > fullest:
            reach = "só com mais sessões"
        yield ("speculation_slower: com %s na réplica, %s ms por token, e %s sem rascunhar; "
               "compensa %s: tire --speculative-tokens" % (
                   sessions_text(fullest), near_text(with_ms, without_ms),
                   near_text(without_ms, with_ms), reach))


def engine_settings_warnings(r: SizingResult) -> Iterator[str]:
    scale = r.offer.tpot_scale
    if not 1 / FAR_CALIBRATION < scale < FAR_CALIBRATION:
        yield ("far_calibration: o TPOT medido é %s vezes o previsto: confira se a carga medida é "
               "a da pergunta" % number_text(scale))


def log_warnings(r: SizingResult) -> Iterator[str]:
    """Se o log parece de outro modelo, outra GPU ou outra regra, e do que ele não prova."""
    q, log, layout = r.question, r.question.engine_log, r.offer.layout
    if not log or not layout:
        return
    if log.model and not same_model(q.model, log.model):
        yield "engine_log_model: o log é de %s, e a pergunta, de %s" % (log.model, q.model.name)
    rows = {row["name"]: row for row in log_figures(q, layout, log)}
    far = ["%s %s" % (LOG_FIGURES[name][0], number_text(rows[name]["ratio"], 3))
           for name, most in FAR_LOG.items()
           if rows[name]["ratio"] is not None and not 1 / most < rows[name]["ratio"] < most]
    if far:
        yield ("far_engine_log: o log dividido pelo previsto dá %s: confira se ele é desta "
               "pergunta, com KV %s e pesos %s, e de que versão" % (
                   ", ".join(far), q.kv_precision, q.weights_precision))
    if layout.max_num_seqs > engine_sequences(q):
        yield ("engine_log_sequences: o KV do log é de um motor com até %d sequências, e "
               "--max-num-seqs %d tira dele parte da memória" % (
                   engine_sequences(q), layout.max_num_seqs))


def same_model(model: Model, logged: str) -> bool:
    """O nome do log começa por um dos do catálogo: a versão FP8 de um modelo é o mesmo."""
    said, *known = (re.sub(r"\W|_", "", name.rstrip("/").rpartition("/")[2].lower())
                    for name in (logged, model.name, model.hf_id or model.name, *model.aliases))
    return said.startswith(tuple(known))


def load_text(r: SizingResult, case: Json) -> str:
    """A ponta da carga, se são duas, os nós e o pico."""
    end = ""
    if len(r.question.ends) > 1:
        end = "prompt novo, " if case["input_tokens"] == r.offer.input_tokens else (
            "prefixo em cache, ")
    at_peak = ", no pico" if "peak" in case["state"] and not r.pools else ""
    return end + plural(case["nodes"], "nó") + at_peak


def tight_warning(r: SizingResult) -> Iterator[str]:
    spare, admitted, unit = r.spare_sessions, r.offer.sessions_per_unit, r.offer.nodes_per_unit
    if r.asks in ("nodes", "load") and spare < TIGHT_LAST_NODE_RATIO * admitted:
        yield "tight_capacity: no pico %s, %s %s (abaixo de %s)" % (
            "sobra 1 vaga" if spare == 1 else "sobram %d vagas" % spare,
            percent_text(Fraction(1000 * spare // admitted, 1000)),
            "do último nó" if unit == 1 else "dos últimos %d nós" % unit,
            percent_text(TIGHT_LAST_NODE_RATIO))


def ceiling_warnings(r: SizingResult) -> Iterator[str]:
    offer = r.offer
    if not offer.layout:
        yield ("no_ceiling: só o plano, que não confere o que o motor admite; "
               + missing_text(r.capacity.missing))
    unserved = offer.layout and r.question.server.generation not in (HOPPER, BLACKWELL)
    if unserved and (r.question.model.indexer_layers or r.question.model.compressed):
        yield ("unserved_gpu: a atenção esparsa deste modelo só tem kernels, no vLLM, para GPUs de "
               "compute capability 9 e 10: confira antes de comprar")
    if offer.nodes_per_unit > 1:
        yield ("replica_spans_nodes: réplica de %d nós: a rede entre eles decide a velocidade"
               % offer.nodes_per_unit)


def plan_warnings(r: SizingResult) -> Iterator[str]:
    q, kv_bytes = r.question, kv_per_session_bytes(r.question)
    if q.model.assumed:
        yield "assumed: %s Se não for assim, informe --weights-gib ou a pasta" % q.model.assumed
    if q.kv_budget_ratio > HIGH_KV_BUDGET_RATIO:
        yield ("high_budget_ratio: %s da HBM para KV, acima de %s: risco de faltar memória para "
               "pesos, ativações e fragmentação"
               % (percent_text(q.kv_budget_ratio), percent_text(HIGH_KV_BUDGET_RATIO)))
    vectors = [group for group in q.model.kv_groups if group.elements_per_token]
    if q.kv_precision == "int8" and vectors:
        plain, scaled = (sum(group.layers * group.rank_bytes(precision, 1, False)
                             for group in vectors) for precision in ("fp8", "int8"))
        yield ("int8_scales: o vLLM guarda KV em int8 com escalas, %s vezes o que o plano conta; "
               "fp8 não as tem" % decimal_text(Fraction(scaled, plain), 3))
    if q.storage.type != "local":
        yield "%s_storage: %s" % (q.storage.type, cold_start_text(r))
    fp8 = session_kv_bytes(q.model.kv_groups, q.effective_context, "fp8")
    if q.element_bytes == 2 and fp8 < kv_bytes:
        yield "kv_16bit: KV em %s (2 bytes) pede %s por sessão, %s vezes os %s de fp8" % (
            q.kv_precision, size_text(kv_bytes), decimal_text(Fraction(kv_bytes, fp8), 2),
            size_text(fp8))


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


# ── Apêndice: a explicação: explanation_of, cada número com a fórmula, os valores e a fonte


FigureRow = Tuple[str, str, str, str, str]
DRAFT_SHARE = "a parte dos bytes do modelo que uma camada MTP tem"


def time_figures(lead: str, sessions: str) -> tuple[FigureRow, ...]:
    """Os tempos de uma réplica com `<lead>_per_replica` sessões; `high`: os que se julgam a 90%."""
    step = (
        "1000 * tpot_scale * (step_seconds + sequence_seconds * max(1, {0} / (data_parallel * "
        "stages)) - experts_read_seconds * (1 - touched_ratio)**({0}[ * step_tokens] / stages)"
        "[ - draft_experts_seconds * (1 - touched_ratio)**({0} / stages)])"
    ).format(lead + "_per_replica")
    edge, source = "o mesmo, na ponta ruim da faixa de 80%", "--confidence 90%"
    return (
        (lead + "_step_ms", "um passo de decode sem prefill com " + sessions, "ms", step,
         "as parcelas do TPOT, somadas"),
        (lead + "_tpot_ms", "TPOT com " + sessions, "ms",
         "{0}_step_ms[ / acceptance_length] + 1000 * tpot_scale * prefill_seconds * "
         "({0}_per_replica - 1) / output_tokens".format(lead), "e o prefill dos outros"),
        (lead + "_tpot_high_ms", edge, "ms", "tpot_margin * %s_tpot_ms" % lead, source),
        *queue_figures(lead + "_", lead + "_per_replica", " com " + sessions),
        (lead + "_ttft_high_ms", edge, "ms", "ttft_margin * %s_ttft_ms" % lead, source),
        (lead + "_ttft_p95_high_ms", edge, "ms", "ttft_p95_margin * %s_ttft_p95_ms" % lead,
         source))


def queue_figures(lead: str, sessions: str, label: str) -> tuple[FigureRow, ...]:
    """O tempo até o 1º token, sem fila e com ela, de uma réplica com `sessions` sessões."""
    wait = ("%sunqueued_ms + %sservice_ms * prefill_spread / 2 / (1 - %squeue_utilization) * "
            "log(max(1, %squeue_utilization / {late}))") % ((lead,) * 4)
    return (
        (lead + "unqueued_ms", "TTFT sem fila" + label, "ms",
         "1000 * alone_seconds + (chunks - 1) * %sstep_ms + 1.5 * %stpot_ms[ * acceptance_length]"
         % (lead, lead),
         "meio passo de espera e os do prompt; o último leva também os dos outros"),
        (lead + "prompt_steps", "passos em que anda um prompt" + label, "",
         "mean_input_tokens / max(1, batched_tokens - [step_tokens * ]max(1, %s / (data_parallel * "
         "stages)))" % sessions,
         "um passo leva max_num_batched_tokens, com os que se geram"),
        (lead + "service_ms", "um prompt na fila de prefills" + label, "ms",
         "1000 * tpot_scale * data_parallel * prefill_seconds + %sprompt_steps * %sstep_ms / stages"
         % (lead, lead), "nos passos dele, também se decodifica"),
        (lead + "queue_utilization", "parte dos passos com prompts dos outros" + label, "",
         "max(0, %s / data_parallel - 1) * %sprompt_steps[ * acceptance_length] / (output_tokens * "
         "stages)" % (sessions, lead),
         "lei de Little, em passos: não depende de quanto eles duram; acima de %s não se prevê a "
         "espera" % QUEUE_UTILIZATION),
        (lead + "ttft_ms", "TTFT, a mediana" + label, "ms", wait.format(late=0.5),
         "espera M/G/1, Pollaczek–Khinchine; faixa de 80% no README"),
        (lead + "ttft_p95_ms", "TTFT, o percentil 95" + label, "ms", wait.format(late=0.05),
         "espera M/G/1, Pollaczek–Khinchine; faixa de 80% no README"))


# (nome, rótulo, unidade, fórmula, fonte), na ordem da conta; vale a primeira linha de cada nome em
# que toda grandeza tem valor, em `names_of_figures`. Entre colchetes, o que só entra com rascunhos:
# um passo confere `step_tokens` de cada sequência e gera `acceptance_length`.
FIGURES = (
    ("effective_context", "contexto da sessão mais longa", "tokens", "longest_tokens",
     "--context-mix"),
    ("effective_context", "contexto usado", "tokens", "max_context",
     "o maior em que a carga cabe nos nós dados"),
    ("effective_context", "contexto usado", "tokens",
     "request_cached_tokens + request_new_tokens + output_tokens", "soma do pedido"),
    ("effective_context", "contexto usado", "tokens",
     "min(requested_context, max_position_embeddings)", "config.json do modelo"),
    ("effective_context", "contexto usado", "tokens", "max_position_embeddings",
     "config.json do modelo"),
    ("kv_total_bytes", "KV de todas as sessões", "B", "concurrency * kv_per_session_bytes", ""),
    ("kv_budget_bytes", "orçamento de KV por nó", "B",
     "total_hbm_gb * GB * kv_budget_ratio - runtime_overhead_gib * GIB", "convenção do plano"),
    ("plan_sessions", "sessões que o plano admite por unidade", "sessões",
     "nodes_per_unit * floor(kv_budget_bytes / kv_per_session_bytes)", "convenção do plano"),
    ("usable_bytes", "HBM que o motor usa, por GPU", "B",
     "floor(gpu_memory_utilization * hbm_usable_gib_per_gpu * GIB)",
     "memória que o driver mostra"),
    ("weights_bytes", "pesos por GPU", "B",
     "ceil((dense_bytes - replicated_bytes) / tensor_parallel) + replicated_bytes + rope_bytes + "
     "ceil(stage_expert_bytes * expert_padding / (tensor_parallel * data_parallel))",
     "bytes do checkpoint"),
    ("activation_bytes", "ativações por GPU", "B",
     "max(batch_bytes + max_num_seqs * logits_bytes, ffn_bytes) + max(moe_bytes, indexer_bytes) + "
     "conversion_bytes + encoder_bytes + stream_bytes + CUBLAS_BYTES",
     "ajuste a registros do vLLM"),
    ("cuda_graphs_bytes", "grafos CUDA por GPU", "B",
     "GRAPHS_BYTES + graphs_captured * graph_bytes", "ajuste a registros do vLLM"),
    ("runtime_bytes", "motor por GPU", "B",
     "activation_bytes + non_torch_bytes + cuda_graphs_bytes", "ajuste a registros do vLLM"),
    ("kv_capacity_bytes", "KV que cabe por GPU", "B",
     "usable_bytes - weights_bytes - runtime_bytes", ""),
    ("kv_blocks", "blocos de cache por GPU", "blocos", "floor(kv_capacity_bytes / block_bytes)",
     "vLLM 0.33"),
    ("sessions_held", "sessões que o motor mantém juntas", "sessões",
     "1 + floor((kv_blocks - 1 - reserved_blocks) / held_blocks)",
     "escalonador do vLLM 0.33: a última ainda precisa da reserva inteira"),
    ("sessions_logged", "a \"maximum concurrency\" do log", "sessões",
     "kv_blocks / reserved_blocks", "vLLM 0.33: todas ainda por entrar"),
    ("sessions_per_replica", "sessões que a réplica admite", "sessões",
     "min(sessions_held, max_num_seqs) * data_parallel", ""),
    ("ceiling_sessions", "teto físico por unidade", "sessões",
     "sessions_per_replica * replicas_per_unit", ""),
    ("tpot_limit_ms", "limite do TPOT", "ms", "min(max_tpot_ms, 1000 / min_tokens_per_second)",
     "o objetivo mais apertado"),
    ("tpot_limit_ms", "limite do TPOT", "ms", "1000 / min_tokens_per_second", "objetivo dado"),
    ("tpot_limit_ms", "limite do TPOT", "ms", "max_tpot_ms", "objetivo dado"),
    ("max_ttft_ms", "limite do TTFT", "ms", "", "objetivo dado"),
    ("max_ttft_p95_ms", "limite do P95 do TTFT", "ms", "", "objetivo dado"),
    ("kept_per_replica", "sessões por réplica que cumprem os objetivos", "sessões", "",
     "o maior número em que os tempos a seguir ficam nos limites"),
    *time_figures("kept", "essas sessões na réplica"),
    ("next_per_replica", "uma sessão a mais na réplica", "sessões", "kept_per_replica + 1", ""),
    *time_figures("next", "uma a mais"),
    ("objective_sessions", "sessões por unidade que cumprem os objetivos", "sessões",
     "kept_per_replica * replicas_per_unit", ""),
    ("sessions_per_unit", "sessões por unidade", "sessões",
     "min(plan_sessions, ceiling_sessions, objective_sessions)", "o menor limite vale"),
    ("sessions_per_unit", "sessões por unidade", "sessões",
     "min(plan_sessions, ceiling_sessions)", "o menor limite vale"),
    ("sessions_per_unit", "sessões por unidade", "sessões", "plan_sessions",
     "sem o teto físico, só o plano limita"),
    ("sessions_per_node", "sessões por nó de uma unidade", "sessões",
     "floor(sessions_per_unit / nodes_per_unit)", ""),
    ("max_concurrency", "sessões que os nós mantêm", "sessões",
     "floor((floor(nodes / nodes_per_unit) - ha_spares) * sessions_per_unit / "
     "(1 + peak_headroom_ratio))", "pico e reserva à parte"),
    ("full_sessions", "sessões da unidade cheia", "sessões", "",
     "as que sobram da divisão pelas réplicas só contam se pagam a latência que acrescentam"),
    ("full_per_replica", "sessões na réplica cheia", "sessões",
     "ceil(sessions_per_unit / replicas_per_unit)", ""),
    *time_figures("full", "a réplica cheia"),
    ("full_latency_seconds", "latência de um pedido, na ponta ruim da faixa de 80%", "s",
     "latency_margin * (full_unqueued_ms + full_tpot_ms * (output_tokens - 1)) / 1000",
     "--confidence 90%"),
    ("full_latency_seconds", "latência de um pedido, com a réplica cheia", "s",
     "(full_unqueued_ms + full_tpot_ms * (output_tokens - 1)) / 1000", ""),
    ("planned_sessions", "sessões que a taxa pede, com a unidade cheia", "sessões",
     "requests_per_second * full_latency_seconds", "lei de Little"),
    ("nodes_minimum", "capacidade pura", "nós",
     "ceil(concurrency / sessions_per_unit) * nodes_per_unit", ""),
    ("nodes_with_headroom", "com o pico", "nós",
     "ceil(concurrency * (1 + peak_headroom_ratio) / sessions_per_unit) * nodes_per_unit", ""),
    ("nodes_bought", "com a reserva de HA", "nós",
     "nodes_with_headroom + ha_spares * nodes_per_unit", ""),
    ("units", "unidades de nós", "", "floor(nodes_final / nodes_per_unit)", ""),
    ("sessions_in_progress", "sessões em andamento com todos os nós", "sessões", "",
     "o menor ponto fixo da lei de Little: taxa · latência"),
    ("peak_sessions", "sessões no pico", "sessões",
     "ceil(concurrency * (1 + peak_headroom_ratio))", ""),
    ("spare_sessions", "vagas livres no pico", "sessões",
     "(units - ha_spares) * sessions_per_unit - peak_sessions", ""),
    ("interrupted_sessions", "em andamento na unidade que cai", "sessões",
     "ceil(concurrency / units)", ""),
    ("nodes_after_failure", "nós no ar depois da falha", "nós",
     "max(0, units - max(0, failed_nodes - (nodes_final - units * nodes_per_unit))) * "
     "nodes_per_unit", "os ociosos substituem os que caem"),
    ("sessions_after_failure", "admitidas depois da falha", "sessões",
     "nodes_after_failure / nodes_per_unit * sessions_per_unit", ""),
    ("replica_sessions", "sessões na réplica mais cheia", "sessões",
     "ceil(concurrency / (units * replicas_per_unit))", ""),
    ("rows", "sequências por GPU", "", "max(1, replica_sessions / (data_parallel * stages))", ""),
    ("step_tokens", "tokens que um passo confere em cada sequência", "tokens",
     "speculative_tokens + 1", "o do modelo e os rascunhados"),
    ("acceptance_length", "tokens que um passo gera", "tokens", "", "--acceptance-length"),
    ("weights", "TPOT: ler e calcular as camadas densas", "ms",
     "1000 * tpot_scale * (gpu_read_bytes / (hbm_bandwidth * WEIGHTS_MBU) + rows[ * step_tokens] * "
     "2 * (gpu_linear_params / dense_flops + gpu_head_params / bf16_flops) / DECODE_MFU)"
     "[ / acceptance_length]",
     "ajuste a medidas públicas"),
    ("experts", "TPOT: ler e calcular os especialistas", "ms",
     "1000 * tpot_scale * (expert_bytes / stage_gpus / (hbm_bandwidth * EXPERTS_MBU) * (1 - (1 - "
     "touched_ratio)**(replica_sessions[ * step_tokens] / stages)) + rows[ * step_tokens] * "
     "data_parallel * 2 * expert_params * touched_ratio / expert_flops / stage_gpus / "
     "experts_decode_mfu + rows[ * step_tokens] * dispatched_bytes * DECODE_COPIES / "
     "hbm_bandwidth)[ / acceptance_length]",
     "ajuste a medidas públicas"),
    ("kv", "TPOT: ler o KV", "ms",
     "1000 * tpot_scale * rows * (kv_read_bytes / (hbm_bandwidth * KV_MBU) + indexer_read_bytes / "
     "(hbm_bandwidth * INDEXER_MBU) + absorbed_flops / tensor_parallel / (bf16_flops * "
     "ATTENTION_MFU))[ / acceptance_length]", "ajuste a medidas públicas"),
    ("communication", "TPOT: comunicação", "ms",
     "1000 * tpot_scale * (parallel * layers * 2 * (wait_seconds + rows[ * step_tokens] * 4 * "
     "hidden_size * (stage_gpus - 1) / stage_gpus / link_bandwidth / DECODE_LINK_RATIO) + "
     "(stages - 1) * (NETWORK_SECONDS + rows[ * step_tokens] * 2 * hidden_size / hop_bandwidth / "
     "DECODE_LINK_RATIO))[ / acceptance_length]",
     "ajuste a medidas públicas"),
    ("launch", "TPOT: partida dos kernels", "ms",
     "1000 * tpot_scale * launch_seconds[ / acceptance_length]", "ajuste a medidas públicas"),
    ("draft_step_seconds", "rascunhar: um passo, se lê todos os especialistas", "s",
     "speculative_tokens * (draft_weights_ratio * weights_step_seconds + draft_experts_ratio * "
     "experts_read_seconds + draft_layers_ratio * layers_step_seconds)", DRAFT_SHARE),
    ("draft_sequence_seconds", "rascunhar: cada sequência", "s",
     "speculative_tokens * (draft_kv_ratio * kv_sequence_seconds + (draft_weights_ratio * "
     "weights_sequence_seconds + draft_experts_ratio * experts_sequence_seconds + "
     "draft_layers_ratio * layers_sequence_seconds) / step_tokens)", DRAFT_SHARE),
    ("draft_experts_seconds", "rascunhar: ler todos os especialistas", "s",
     "speculative_tokens * draft_experts_ratio * experts_read_seconds", DRAFT_SHARE),
    ("draft", "TPOT: rascunhar", "ms",
     "1000 * tpot_scale * (draft_step_seconds + rows * draft_sequence_seconds - "
     "draft_experts_seconds * (1 - touched_ratio)**(replica_sessions / stages)) / "
     "acceptance_length", ""),
    ("own_seconds", "prefill de um token: camadas densas e o que vai aos especialistas", "s",
     "2 * gpu_linear_params / dense_flops / dense_prefill_mfu + dispatched_bytes * "
     "PREFILL_COPIES / hbm_bandwidth", "ajuste a medidas públicas"),
    ("shared_seconds", "prefill de um token: especialistas", "s",
     "2 * expert_params * touched_ratio / expert_flops / stage_gpus / experts_prefill_mfu",
     "ajuste a medidas públicas"),
    ("moved_seconds", "prefill de um token: comunicação", "s",
     "(parallel * layers * 8 * hidden_size * (stage_gpus - 1) / stage_gpus / link_bandwidth / "
     "senders + (stages - 1) * 2 * hidden_size / hop_bandwidth) / PREFILL_LINK_RATIO",
     "ajuste a medidas públicas"),
    ("prefill_seconds", "prefill de um pedido entre os outros", "s",
     "REQUEST_SECONDS + (mean_input_tokens * (own_seconds / data_parallel + shared_seconds + "
     "moved_seconds) + (mean_attention_flops / tensor_parallel / "
     "(bf16_flops * ATTENTION_MFU) + mean_indexer_flops / (bf16_flops * INDEXER_MFU)) / "
     "data_parallel) / stages", "ajuste a medidas públicas"),
    ("prefill_interference", "TPOT: prefill dos outros pedidos", "ms",
     "1000 * tpot_scale * prefill_seconds * (replica_sessions - 1) / output_tokens", ""),
    ("tpot_ms", "TPOT", "ms",
     "weights + experts + kv + communication + launch[ + draft] + prefill_interference",
     "faixa de 80% no README"),
    ("step_ms", "um passo de decode sem prefill", "ms",
     "[(]weights + experts + kv + communication + launch[ + draft) * acceptance_length]", ""),
    ("plain_tpot_ms", "TPOT da mesma carga sem rascunhar", "ms", "", "as mesmas parcelas"),
    ("speculation_pays_until", "sessões na réplica até as quais rascunhar compensa", "sessões", "",
     "o maior número em que o TPOT é menor que sem rascunhar"),
    ("alone_seconds", "prefill de um prompt sozinho", "s",
     "tpot_scale * (max((input_tokens * (own_seconds + shared_seconds + moved_seconds) + "
     "attention_flops / tensor_parallel / (bf16_flops * ATTENTION_MFU) + indexer_flops / "
     "(bf16_flops * INDEXER_MFU)) * (1 + (stages - 1) / chunks) / stages, gpu_read_bytes / "
     "(hbm_bandwidth * WEIGHTS_MBU) + expert_bytes / stage_gpus / (hbm_bandwidth * EXPERTS_MBU)) "
     "+ layers * PREFILL_LAYER_SECONDS + parallel * layers * 2 * wait_seconds)",
     "ajuste a medidas públicas"),
    *queue_figures("", "replica_sessions", ""),
    ("session_rate", "tokens por segundo e sessão", "tok/s", "1000 / tpot_ms", ""),
    ("node_rate", "tokens por segundo e nó", "tok/s",
     "concurrency / nodes_final * output_tokens / ((unqueued_ms + (output_tokens - 1) * tpot_ms) / "
     "1000)", "lei de Little"),
    ("node_recovery_seconds", "um nó de volta depois da falha", "s",
     "checkpoint_bytes / GB / min(throughput_read_gbps / recovering_nodes, LOADER_GBPS) + "
     "ENGINE_START_SECONDS", "tempos de carga medidos"),
    ("cold_start_seconds", "todos os nós, a frio", "s",
     "checkpoint_bytes / GB / min(throughput_read_gbps / starting_nodes, LOADER_GBPS) + "
     "ENGINE_START_SECONDS", "tempos de carga medidos"),
    ("kv_restore_seconds", "repor do storage o KV de uma sessão", "s",
     "kv_per_session_bytes / GB / throughput_read_gbps", "perfil de storage"),
    ("kv_recompute_seconds", "recalcular o KV de uma sessão", "s", "",
     "alone_seconds com todo o prompt novo"),
    ("capacity_bytes", "espaço para o checkpoint e as sessões guardadas", "B",
     "checkpoint_bytes + parked_sessions * kv_per_session_bytes", ""),
    ("power_kw", "potência máxima", "kW", "nodes_final * power_kw_per_node", "folha do servidor"),
    ("heat_btu_h", "calor", "BTU/h", "nodes_final * heat_btu_h_per_node", "folha do servidor"),
    ("rack_units", "espaço em rack", "U", "nodes_final * rack_units_per_node",
     "folha do servidor"),
    ("racks", "racks de 42 U e até 45 kW", "", "ceil(nodes_final / nodes_per_rack)", ""),
    ("racks", "racks", "", "", "um nó passa sozinho de 45 kW ou de 42 U"),
    ("energy_mwh_year", "energia num ano, com o PUE", "MWh",
     "power_kw * pue * HOURS_PER_YEAR / 1000", ""),
    ("purchase", "compra", "", "nodes_final * node_price", "preço dado"),
    ("energy", "energia no período", "", "1000 * energy_mwh_year * energy_price * years",
     "preço dado"),
    ("total", "total", "", "purchase + energy", ""),
    ("per_session_month", "por sessão e mês", "", "total / (years * 12 * concurrency)", ""),
    ("per_million_output_tokens", "por milhão de tokens gerados", "",
     "total / (node_rate * nodes_final * 3600 * HOURS_PER_YEAR * years / 10**6)",
     "nós sempre com a carga nominal"))
RATED_FIGURES = (  # no lugar das de mesmo nome, com uma taxa
    ("full_per_replica", "sessões na réplica cheia", "sessões",
     "ceil(full_sessions / replicas_per_unit)", ""),
    ("nodes_minimum", "capacidade pura", "nós",
     "ceil(planned_sessions / full_sessions) * nodes_per_unit", ""),
    ("nodes_with_headroom", "com o pico", "nós",
     "ceil(planned_sessions * (1 + peak_headroom_ratio) / full_sessions) * nodes_per_unit", ""),
    ("peak_sessions", "sessões no pico", "sessões", "",
     "o menor ponto fixo da lei de Little, com o pico e sem a reserva"))
SHARED_FIGURES = (  # e com um prefixo comum
    ("kv_total_bytes", "KV de todas as sessões", "B",
     "concurrency * kv_own_mean_bytes + units * prefix_copies * shared_prefix_bytes",
     "o prefixo, uma vez por réplica"),
    ("plan_sessions", "sessões que o plano admite por unidade", "sessões",
     "nodes_per_unit * floor((kv_budget_bytes - ceil(prefix_copies / nodes_per_unit) * "
     "shared_prefix_bytes) / kv_own_mean_bytes)", "convenção do plano"),
    ("sessions_held", "sessões que o motor mantém juntas", "sessões",
     "1 + floor((kv_blocks - 1 - reserved_blocks) / (held_blocks - shared_blocks))",
     "escalonador do vLLM 0.33: a última ainda precisa da reserva inteira"),
    ("capacity_bytes", "espaço para o checkpoint e as sessões guardadas", "B",
     "checkpoint_bytes + shared_prefix_bytes + parked_sessions * kv_own_mean_bytes", ""))
POOLED_FIGURES = (  # se um nó sozinho não tem orçamento para uma sessão
    ("plan_sessions", "sessões que o plano admite por unidade", "sessões",
     "floor((nodes_per_unit * kv_budget_bytes - prefix_copies * shared_prefix_bytes) / "
     "kv_own_mean_bytes)", "convenção do plano"),)
PERCENTILE = ("percentil 99 do total: n·μ + z·σ·√n + (z² − 1)/6 · m₃/σ², com z = 2.326; em poucas "
              "sessões é uma aproximação")
MIXED_FIGURES = (  # e com sessões de vários comprimentos
    ("kv_total_bytes", "KV de todas as sessões, em média", "B",
     "ceil(concurrency * kv_own_mean_bytes) + units * prefix_copies * shared_prefix_bytes",
     "média da mistura"),
    ("plan_sessions", "sessões que o plano admite por unidade", "sessões", "", PERCENTILE),
    ("sessions_held", "sessões que o motor mantém juntas", "sessões", "", PERCENTILE),
    ("capacity_bytes", "espaço para o checkpoint e as sessões guardadas", "B",
     "checkpoint_bytes + shared_prefix_bytes + ceil(parked_sessions * kv_own_mean_bytes)", ""))
DEFAULT_ACCEPTANCE = (("acceptance_length", "tokens que um passo gera", "tokens", "",
                       "o padrão de K, de medidas públicas; o seu tráfego pode ter outro"),)
LOGGED_FIGURES = (  # e com o log do motor
    ("runtime_bytes", "motor por GPU", "B", "usable_bytes - weights_bytes - kv_capacity_bytes",
     "o que o log não deu a pesos e KV"),
    ("kv_capacity_bytes", "KV por GPU", "B", "", "log do motor"))
LOGGED_WEIGHTS = (("weights_bytes", "pesos por GPU", "B", "", "log do motor"),)
POOL_PREFILL = ("own_seconds", "shared_seconds", "moved_seconds", "prefill_seconds",
                "alone_seconds")
# Com prefill e decode separados, antes dos nós; `prefill_*` são as grandezas do lote de prefill.
POOL_FIGURES: tuple[FigureRow, ...] = (
    ("prefill_service_seconds", "prefill de um pedido, um por vez na réplica", "s",
     "prefill_tpot_scale * prefill_prefill_seconds", ""),
    ("prefill_service_seconds", "prefill de um pedido, um por vez na réplica", "s", "",
     "média sobre os comprimentos"),
    ("transfer_seconds", "envio do KV ao decode", "s",
     "transfer_gpu_bytes / (network_gbps_per_gpu * GB * PREFILL_LINK_RATIO)",
     "o dos tokens novos, na GPU mais ocupada"),
    *[(lead + "_per_second", "prompts por segundo, " + load, "1/s", lead + formula, source)
      for lead, load in (("prefill_prompts", "sem pico"), ("peak_prompts", "no pico"))
      for formula, source in (
          ("_sessions / %s_latency_seconds" % lead, "lei de Little, com todo o decode no ar"),
          ("_ratio * requests_per_second", "taxa dada"))],
    ("prefill_most_utilization", "parte do tempo que o prefill pode ocupar", "", "",
     "até %s, ou a que a fila do TTFT deixa" % PREFILL_UTILIZATION),
    *[("prefill_" + nodes, "nós de prefill, " + load, "nós",
       "ceil(ceil(%s_per_second * prefill_service_seconds * prefill_margin / "
       "prefill_most_utilization) / "
       "prefill_replicas_per_unit) * prefill_nodes_per_unit" % lead, "") for nodes, load, lead in (
           ("nodes_minimum", "sem pico", "prefill_prompts"),
           ("nodes_with_headroom", "no pico", "peak_prompts"))],
    *[(lead + "_nodes_after_failure", "nós de %s no ar depois da falha" % lead, "nós",
       "max(0, {0}_nodes_final - failed_nodes * {0}_nodes_per_unit)".format(lead), "")
      for lead in ("prefill", "decode")])
POOL_BUSY = "prefill_prompts_per_second * prefill_service_seconds / prefill_replicas"
POOL_FORMULAS = {  # no lugar das de FIGURES
    **dict.fromkeys((*POOL_PREFILL, "prompt_steps")), "max_concurrency": "",
    "alone_seconds": "prefill_alone_seconds + transfer_seconds",
    "full_latency_seconds": "latency_margin * (full_unqueued_ms + full_tpot_ms * (output_tokens - "
                            "1) + 1000 * (planned_first_seconds - alone_seconds)) / 1000",
    "service_ms": "1000 * prefill_service_seconds", "queue_utilization": POOL_BUSY,
    "units": "decode_nodes_final / nodes_per_unit", "spare_sessions": "",
    "nodes_after_failure": "min(1, prefill_nodes_after_failure, decode_nodes_after_failure) * "
                           "(prefill_nodes_after_failure + decode_nodes_after_failure)",
    "sessions_after_failure": "min(1, prefill_nodes_after_failure) * decode_nodes_after_failure / "
                              "nodes_per_unit * sessions_per_unit",
    "nodes_bought": "nodes_with_headroom + ha_spares * (nodes_per_unit + prefill_nodes_per_unit)"}
# O que é cada grandeza que só as fórmulas dizem; à frente do nome pode vir o do lote, ou do tempo.
QUANTITIES = """\
longest_tokens: comprimento da sessão mais longa
request_cached_tokens: tokens do pedido já em cache
request_new_tokens: tokens novos do pedido
prefix_copies: cópias do prefixo comum numa unidade: por réplica e rank de data parallel
shared_blocks: blocos cheios do prefixo comum
ha_spares: unidades de reserva que a HA pede
failed_nodes: nós que caem: os da reserva, ou um
replicas_per_unit: réplicas numa unidade
dense_bytes: pesos fora dos especialistas, na maior etapa
replicated_bytes: pesos que cada GPU repete
rope_bytes: tabela do RoPE
stage_expert_bytes: pesos dos especialistas, na maior etapa
expert_padding: especialistas com o arredondamento dos kernels, sobre sem ele
batch_bytes: entrada de um passo, de max_num_batched_tokens
logits_bytes: amostrador, de cada sequência
ffn_bytes: FFN de um passo
moe_bytes: saídas dos especialistas de um passo
indexer_bytes: o que a atenção esparsa junta no prefill
conversion_bytes: o que a troca de leiaute dos pesos MXFP4 prende
encoder_bytes: imagens de teste de um modelo multimodal
stream_bytes: fluxos residuais da DeepSeek V4
graphs_captured: grafos CUDA que o motor guarda
graph_bytes: um grafo CUDA, nas camadas da maior etapa
non_torch_bytes: contexto CUDA e NCCL
margin: fator da ponta ruim da faixa de 80%, se nela se julga
stages: etapas do pipeline parallel
stage_gpus: GPUs de uma etapa
parallel: 1 se a etapa tem mais de uma GPU
tensor_parallel: GPUs do tensor parallel
pipeline_parallel: etapas do pipeline parallel
layers: camadas: cada atenção e cada FFN conta por meia
senders: GPUs que dividem o que se envia na rede
chunks: passos em que um prompt sozinho se corta
batched_tokens: max_num_batched_tokens do motor
step_seconds: um passo, se lê todos os especialistas: a parte fixa de cada parcela
sequence_seconds: o que cada sequência acrescenta a um passo
experts_read_seconds: ler todos os especialistas
draft_experts_seconds: ler todos os das camadas que rascunham
step_tokens: tokens que um passo confere em cada sequência
acceptance_length: tokens que um passo gera
weights_step_seconds: a parte fixa das camadas densas num passo
layers_step_seconds: a parte fixa da comunicação e da partida num passo
kv_sequence_seconds: o que o KV de cada sequência acrescenta
weights_sequence_seconds: o que as camadas densas acrescentam
experts_sequence_seconds: o que os especialistas acrescentam
layers_sequence_seconds: o que a comunicação acrescenta
draft_weights_ratio: parte que a camada que rascunha tem das densas que se leem
draft_experts_ratio: parte que a camada que rascunha tem dos especialistas
draft_kv_ratio: parte que a camada que rascunha tem do KV
draft_layers_ratio: parte que a camada que rascunha é de todas
gpu_read_bytes: pesos densos que cada GPU lê num passo
gpu_linear_params: parâmetros densos que cada GPU calcula
gpu_head_params: parâmetros da cabeça em cada GPU
expert_bytes: pesos de todos os especialistas
expert_params: parâmetros de todos os especialistas
touched_ratio: parte dos especialistas que um token usa
dispatched_bytes: o que um token leva aos especialistas
kv_read_bytes: KV que um passo lê em cada GPU, por sequência
indexer_read_bytes: chaves do indexador que um passo lê em cada GPU, por sequência
absorbed_flops: FLOPs da atenção latente num passo, por sequência
attention_flops: FLOPs da atenção no prefill do prompt mais longo
indexer_flops: FLOPs do indexador no prefill do prompt mais longo
input_tokens: tokens novos do prompt mais longo
mean_input_tokens: tokens novos de um pedido, em média
mean_attention_flops: FLOPs da atenção no prefill, em média
mean_indexer_flops: FLOPs do indexador no prefill, em média
launch_seconds: partida dos kernels de um passo
wait_seconds: latência de uma troca entre as GPUs da etapa
hbm_bandwidth: banda da HBM de uma GPU, em B/s
link_bandwidth: banda de cada GPU às da etapa, em B/s
hop_bandwidth: banda de uma etapa à outra, em B/s
bf16_flops: pico denso em 16 bits, em FLOP/s
dense_flops: pico na precisão das camadas densas, em FLOP/s
expert_flops: pico na precisão dos especialistas, em FLOP/s
dense_prefill_mfu: parte do pico que as camadas densas alcançam no prefill
experts_decode_mfu: parte do pico que os especialistas alcançam no decode
experts_prefill_mfu: parte do pico que os especialistas alcançam no prefill
prefill_spread: E[S²] / E[S]² dos prefills: 1 se todos os pedidos são iguais
recovering_nodes: nós que leem juntos depois da falha
starting_nodes: nós que leem juntos a frio
power_kw_per_node: potência máxima de um nó, em kW
heat_btu_h_per_node: calor de um nó, em BTU/h
rack_units_per_node: espaço de um nó, em U
purchase: compra, se há preço do nó
energy: energia, se há preço dela
transfer_gpu_bytes: KV de um prompt na GPU que mais envia ou recebe
replicas: réplicas nos nós
planned_first_seconds: o que o decode deixa ao prefill e à fila dele
nodes_final: nós, com a reserva
nodes_per_unit: nós de uma unidade
data_parallel: ranks de data parallel
prompts_sessions: sessões que mandam os prompts
prompts_latency_seconds: latência de um pedido delas, sem a fila do prefill
prompts_ratio: um mais o pico
prefill_seconds: prefill de um pedido nos nós de decode"""
QUANTITY_NAME = r"[A-Za-z]\w+\b(?!\()"  # numa fórmula; antes de um parêntese há uma função
FORMULA_CONSTANTS = {
    "GB": GB, "GIB": GIB, "CUBLAS_BYTES": CUBLAS_BYTES, "GRAPHS_BYTES": GRAPHS_BYTES,
    "WEIGHTS_MBU": WEIGHTS_MBU, "EXPERTS_MBU": EXPERTS_MBU, "KV_MBU": KV_MBU,
    "INDEXER_MBU": INDEXER_MBU, "DECODE_MFU": DECODE_MFU, "ATTENTION_MFU": ATTENTION_MFU,
    "INDEXER_MFU": INDEXER_MFU, "DECODE_COPIES": DECODE_COPIES,
    "PREFILL_COPIES": PREFILL_COPIES, "REQUEST_SECONDS": REQUEST_SECONDS,
    "NETWORK_SECONDS": NETWORK_SECONDS, "DECODE_LINK_RATIO": DECODE_LINK_RATIO,
    "PREFILL_LINK_RATIO": PREFILL_LINK_RATIO, "PREFILL_LAYER_SECONDS": PREFILL_LAYER_SECONDS,
    "LOADER_GBPS": LOADER_GBPS,
    "ENGINE_START_SECONDS": ENGINE_START_SECONDS, "HOURS_PER_YEAR": HOURS_PER_YEAR}


def explanation_of(r: SizingResult, servers: Sequence[Server]) -> Json:
    """Tudo o que `--explain` mostra; os leiautes, do escolhido ao pior."""
    layouts = [{"layout": str(offer.layout), "nodes_per_unit": offer.nodes_per_unit,
                "ceiling_sessions": offer.layout.ceiling_sessions,
                "sessions": offer.sessions_per_unit, "limited_by": offer.limited_by,
                "nodes": offer.nodes_with_spares(r.question) if offer.sessions_per_unit else None}
               for offer in r.offers if offer.layout]
    figures = figures_of(r)
    return {"plain": plain_paragraphs(r), "figures": figures,
            "quantities": quantities_of(r, figures), "layouts": layouts,
            "alternatives": alternatives(r, servers), "launch": launch_lines(r)}


def figures_of(r: SizingResult) -> list[Json]:
    names, rows, q, offer = names_of_figures(r), {}, r.question, r.offer
    copies = ceil_div(offer.prefix_copies, offer.nodes_per_unit)
    special = {row[0]: row for row in chain(
        RATED_FIGURES if q.requests_per_second is not None else (),
        SHARED_FIGURES if q.shared_prefix_tokens else (),
        () if plan_sessions_of(q, 1, copies) else POOLED_FIGURES,
        MIXED_FIGURES if q.context_mix else (),
        DEFAULT_ACCEPTANCE if q.requested_acceptance_length is None else (),
        LOGGED_FIGURES if q.engine_log else (),
        LOGGED_WEIGHTS if q.engine_log and q.engine_log.weights_bytes else ())}
    listed = [special.get(row[0], row) for row in FIGURES]
    for name, label, unit, formula, source in pooled_figures(listed) if r.pools else listed:
        if name == "kv_blocks" and r.offer.layout:
            rows.update({item["name"]: item for item in block_figures(r, r.offer.layout)})
        formula = re.sub(r"\[(.*?)\]", r"\1" if q.speculative_tokens else "", formula)
        used = [name, *re.findall(QUANTITY_NAME, formula)]
        if name not in rows and None not in map(names.get, used):
            rows[name] = figure(names, name, label, unit, formula, source)
    return [rows.pop("effective_context"), *group_figures(r), *rows.values(), *logged_rows(r)]


def quantities_of(r: SizingResult, figures: Sequence[Json]) -> list[Json]:
    """As grandezas que só as fórmulas dizem: nome, valor e o que são."""
    labels = dict([line.split(": ", 1) for line in QUANTITIES.splitlines()])
    names, rows = names_of_figures(r), {row["name"] for row in figures}
    used, found = [re.findall(QUANTITY_NAME, row["formula"]) for row in figures], []
    for name in dict.fromkeys(chain.from_iterable(used)):
        words = name.split("_")
        label = next(filter(None, [labels.get("_".join(words[first:]))
                                   for first in range(len(words))]), None)
        if label and name not in rows and name in names:
            found.append({"name": name, "value": json_number(names[name]), "label": label})
    return found


def logged_rows(r: SizingResult) -> Iterator[Json]:
    """O log dividido pelo previsto, em cada grandeza que ele diz."""
    log, layout = r.question.engine_log, r.offer.layout
    for row in log_figures(r.question, layout, log) if log and layout else ():
        if row["ratio"] is not None:
            name, label = row["name"], LOG_FIGURES[row["name"]][0]
            names = {"log_ratio": row["ratio"], "logged_" + name: row["logged"],
                     "predicted_" + name: row["predicted"]}
            yield dict(figure(names, "log_ratio", label + ", log / previsto", "",
                              "logged_%s / predicted_%s" % (name, name),
                              "log do motor"), name="log_ratio_" + name)


def pool_formula(name: str, formula: str) -> str | None:
    """A de uma grandeza, ou das que julgam objetivos, com prefill e decode separados."""
    bare = re.sub("^(kept|next|full)_", "", name)
    return POOL_FORMULAS.get(name, POOL_FORMULAS.get(bare, formula))


def pooled_figures(listed: Iterable[FigureRow]) -> Iterator[FigureRow]:
    """As linhas de uma pergunta com prefill e decode separados."""
    for name, label, unit, formula, source in listed:
        if name in POOL_PREFILL:
            in_pool = re.sub(QUANTITY_NAME, lambda match: match[0] if match[0].isupper()
                             else "prefill_" + match[0], formula)
            yield "prefill_" + name, label + ", no lote de prefill", unit, in_pool, source
        if name == POOL_PREFILL[-1]:
            yield from POOL_FIGURES
        if name in ("nodes_minimum", "nodes_with_headroom"):
            yield "decode_" + name, "nós de decode, " + label, unit, formula, source
            formula = "decode_%s + prefill_%s" % (name, name)
        replaced = pool_formula(name, formula)
        if replaced is not None:
            yield name, label, unit, replaced, source or (
                "os dois lotes nos nós dados" * (not replaced))


def figure(names: Mapping[str, Any], name: str, label: str, unit: str, formula: str,
           source: str = "") -> Json:
    """Um número da explicação; em `numbers`, a fórmula com os valores no lugar dos nomes."""
    numbers = re.sub(QUANTITY_NAME, lambda match: exact_text(names[match[0]]), formula)
    return {"name": name, "label": label, "value": json_number(names[name]), "unit": unit,
            "formula": formula, "numbers": numbers, "source": source}


def exact_text(value: Exact | float) -> str:
    """O número como entra numa conta: exato, ou com 9 algarismos; `(a / b)` se não é decimal."""
    if isinstance(value, float):
        return number_text(value, 9)
    text = decimal_text(value, 33)
    return text if Fraction(text) == value else "(%d / %d)" % (value.numerator, value.denominator)


# Grandeza de cada grupo de camadas → (rótulo, fórmula, em que `%s` são os bytes de um token).
GROUP_FIGURES = {
    "kv_group": ("KV do grupo", "group_layers * (held_tokens * (%s) + fixed_bytes)"),
    "shared_group": ("prefixo comum do grupo", "group_layers * shared_tokens * (%s)")}


def group_figures(r: SizingResult) -> list[Json]:
    """O KV de uma sessão e o prefixo comum, em cada grupo de camadas e ao todo."""
    q, rows = r.question, []
    parts: dict[str, dict[str, int]] = {lead: {} for lead in GROUP_FIGURES}
    for number, group in enumerate(q.model.kv_groups, 1):
        elements = group.elements_per_token * q.element_bytes
        token = "elements_per_token * element_bytes" if elements % 1 == 0 else (
            "ceil(elements_per_token * element_bytes)")
        names = dict(fields_of(group), group_layers=group.layers, element_bytes=q.element_bytes,
                     held_tokens=group.held_tokens(q.effective_context),
                     shared_tokens=group.held_tokens(q.shared_prefix_tokens))
        sizes = {"kv_group": group.session_bytes(q.effective_context, q.element_bytes)}
        if q.shared_prefix_tokens and not group.cap_tokens:
            sizes["shared_group"] = group.shared_bytes(q.shared_prefix_tokens, q.element_bytes)
        for lead, size_bytes in sizes.items():
            name, (label, formula) = "%s_%d_bytes" % (lead, number), GROUP_FIGURES[lead]
            parts[lead][name] = names[name] = size_bytes
            rows.append(figure(names, name, "%s %d, %s" % (label, number, group.kind), "B",
                               formula % (token + " + bytes_per_token"),
                               "vLLM, kv_cache_interface.py"))
    totals = [("kv_per_session_bytes", "KV de uma sessão", parts["kv_group"])]
    if q.shared_prefix_tokens:
        totals.append(("shared_prefix_bytes", "prefixo comum", parts["shared_group"]))
    rows += [figure({**sizes, name: sum(sizes.values())}, name, label, "B",
                    " + ".join(sizes) or "0", "" if sizes else "todas as camadas são de janela")
             for name, label, sizes in totals]
    return [*rows, *mean_figures(q)]


def mean_figures(q: Question) -> Iterator[Json]:
    """O que cada sessão guarda só para si, em média, se há prefixo comum ou vários comprimentos."""
    names: dict[str, Any] = {"shared_prefix_bytes": shared_prefix_bytes(q),
                             "kv_per_session_bytes": kv_per_session_bytes(q)}
    terms = ["kv_per_session_bytes"]
    if q.context_mix:
        terms = ["mix_%d_ratio * mix_%d_bytes" % (number, number)
                 for number in range(1, len(q.lengths) + 1)]
    for number, (context, share) in enumerate(q.context_mix, 1):
        name = "mix_%d_bytes" % number
        names[name] = session_kv_bytes(q.model.kv_groups, context, q.kv_precision)
        names["mix_%d_ratio" % number] = share
        yield figure(names, name, "KV de uma sessão de %d tokens" % context, "B", "",
                     "a conta dos grupos neste comprimento")
    if q.context_mix or q.shared_prefix_tokens:
        names["kv_own_mean_bytes"] = mean_bytes(own_kv_sizes(q))
        yield figure(names, "kv_own_mean_bytes", "KV só de uma sessão, em média", "B", " + ".join(
            terms) + " - shared_prefix_bytes", "")


# Camadas do motor → (os blocos que uma sessão guarda, os que reserva para entrar).
WINDOW = ("min(ceil(effective_context / block_tokens), ceil((cap_tokens - 1) / block_tokens) + 1)",
          "(ceil(min(cap_tokens - 1 + in_flight_tokens, effective_context) / block_tokens) + 1)")
WHOLE = ("ceil(effective_context / block_tokens)",) * 2
STATE_BLOCKS = ("(1 + draft_tokens)", "(%d + draft_tokens)" % RESERVED_STATES)
BLOCK_FORMULAS = {
    **{kind: STATE_BLOCKS for kind, (fields, _) in KINDS.items() if fields is STATE},
    "sliding": WINDOW, "compressor_state": WINDOW,
    "chunked": ("min(ceil(effective_context / block_tokens), ceil(cap_tokens / block_tokens))",
                "ceil(min(cap_tokens + in_flight_tokens, effective_context) / block_tokens)")}


def block_figures(r: SizingResult, layout: Layout) -> Iterator[Json]:
    """Os blocos que cada grupo de camadas do motor guarda e reserva por sessão, e a soma deles."""
    blocks, context = layout.blocks, r.question.effective_context
    padding = sum([item.padding_layers for item in blocks.groups])
    alike = [(*key, len(list(items))) for key, items in groupby(
        blocks.groups, lambda item: (item.group, item.block_tokens))]
    yield figure(
        {"block_bytes": blocks.block_bytes}, "block_bytes", "bytes de um bloco, por GPU", "B", "",
        "a página de %s no grupo mais largo%s" % (
            plural(max([item.layers for item in blocks.groups]), "camada"),
            "; %d de completar os outros" % padding if padding else ""))
    for number, (verb, name) in enumerate((("guarda", "held"), ("reserva", "reserved"))):
        parts: dict[str, int] = {}
        for index, (group, block_tokens, groups) in enumerate(alike, 1):
            part, each = "%s_blocks_%d" % (name, index), BLOCK_FORMULAS.get(group.kind, WHOLE)
            parts[part] = groups * group.session_blocks(
                context, block_tokens, blocks.draft_tokens, blocks.in_flight_tokens)[number]
            names = {**fields_of(group), **fields_of(blocks), **parts, "groups": groups,
                     "block_tokens": block_tokens, "effective_context": context}
            yield figure(names, part, "blocos que uma sessão %s, %s" % (verb, group.kind),
                         "blocos", "groups * " + each[number], "vLLM 0.33")
        total = name + "_blocks"
        yield figure({**parts, total: sum(parts.values())}, total,
                     "blocos que uma sessão " + verb, "blocos", " + ".join(parts))


def names_of_figures(r: SizingResult) -> Mapping[str, Any]:
    """O valor de cada nome das fórmulas; None, ou ausente, se não se aplica a esta pergunta.

    Um nome que está em mais de um lugar vale pelo primeiro: o resultado, o leiaute, a pergunta.
    """
    q = r.question
    costs = {name: cost or 0 for name, cost in r.costs.items()}
    per_node = {name + "_per_node": value for name, value in fields_of(q.server).items()}
    return ChainMap(
        pool_names(r), speed_names(r), limit_names(r), answer_names(r), costs, r.physical,
        r.storage_plan, r.ha_plan, results_of(r), layout_names(r), fields_of(q),
        fields_of(q.storage), per_node, fields_of(q.server), fields_of(q.model), FORMULA_CONSTANTS)


def speed_names(r: SizingResult) -> Json:
    """As grandezas da velocidade na carga nominal, com todos os nós."""
    case, speed = r.nominal, r.nominal_speed
    if not case or not speed:
        return {}
    sessions = case["sessions_per_replica"]
    return {
        **case["breakdown_ms"], **speed.terms, "tpot_scale": speed.scale,
        "prefill_seconds": speed.prefill_seconds,
        "alone_seconds": speed.alone_seconds, "replica_sessions": sessions,
        "step_seconds": speed.step_seconds[0], "sequence_seconds": speed.step_seconds[1],
        "experts_read_seconds": speed.parts["experts"][0],
        "rows": speed.rows(sessions), "parallel": int(speed.terms["stage_gpus"] > 1),
        "input_tokens": case["input_tokens"], "tpot_ms": case["tpot_ms"]["estimate"],
        "prefill_spread": speed.prefill_spread,
        **first_token_names(speed, sessions), **draft_names(r, speed),
        "session_rate": case["output_tokens_per_second_per_session"],
        "node_rate": case["output_tokens_per_second_per_node"]}


def draft_names(r: SizingResult, speed: Speed) -> Json:
    """As grandezas da especulação, se há; as do modelo, sem os rascunhos."""
    if speed.step_tokens == 1:
        return {}
    plain = r.offer.plain_speed
    assert plain
    names: Json = {"kv_sequence_seconds": speed.parts["kv"][1]}
    for name, parts in (("weights", ("weights",)), ("experts", ("experts",)),
                        ("layers", ("communication", "launch"))):
        fixed, each = zip(*[speed.parts[part] for part in parts])
        names.update({name + "_step_seconds": sum(fixed), name + "_sequence_seconds": sum(each)})
    return {**names, **speculation_json(r), "step_tokens": speed.step_tokens,
            "acceptance_length": speed.acceptance_length,
            "draft_experts_seconds": speed.draft_experts_seconds,
            "draft_step_seconds": speed.parts["draft"][0],
            "draft_sequence_seconds": speed.parts["draft"][1]}


def pool_names(r: SizingResult) -> Json:
    """As grandezas dos dois lotes, com o nome do lote à frente."""
    q, pools, block = r.question, r.pools, pools_of_result(r)
    if not pools or not pools.decode.speed or not block:
        return {}
    prefill, speed, decode_nodes = pools.prefill, pools.prefill.speed, pools.decode_nodes[2]
    names: Json = {
        **block, "transfer_gpu_bytes": prefill.transfer_bytes[1], "prefill_seconds": 0,
        "planned_first_seconds": pools.decode.first_seconds,
        "latency_margin": pools.decode.speed.margins["latency"],
        **dict(zip(("prefill_nodes_after_failure", "decode_nodes_after_failure"), [
            plan["nodes_after_failure"] for plan in pools.plans(r.concurrency)]))}
    for lead, headroom in (("prefill_prompts", Fraction(0)), ("peak_prompts",
                                                              q.peak_headroom_ratio)):
        names.update({lead + "_ratio": 1 + headroom,
                      lead + "_per_second": pools.rate(prefill, headroom, decode_nodes)})
        if q.requests_per_second is None:
            sessions, fullest = pools.arrivals(headroom, decode_nodes)
            names.update({lead + "_sessions": sessions, lead + "_latency_seconds": prefill.serving(
                pools.decode.speed, 0.0).latency_seconds(fullest)})
    own = {"tpot_scale": speed.scale,
           "prefill_seconds": None if q.context_mix else speed.prefill_seconds,
           "margin": speed.margins["latency"], "parallel": int(speed.terms["stage_gpus"] > 1)}
    for lead, blocks in (("prefill_", (fields_of(q.model), fields_of(prefill.layout), speed.terms,
                                       block["prefill"], own)), ("decode_", (block["decode"],))):
        for values in blocks:
            names.update({lead + name: value for name, value in values.items()})
    return names


def limit_names(r: SizingResult) -> Json:
    """Os tempos que decidem: em torno do limite dos objetivos ou, se sobram, na réplica cheia."""
    q, offer, speed = r.question, r.offer, r.nominal_speed
    if not speed or not q.timed:
        return {}
    names: Json = {"tpot_limit_ms": q.tpot_limit_ms}
    if speed.confident:
        names.update({time + "_margin": margin for time, margin in speed.margins.items()})
    planned, full = offer.demand(q)
    limited, replicas = offer.limited_by in q.time_limits_ms, offer.replicas_per_unit
    if limited:
        kept = offer.sessions_per_unit // replicas
        names.update(objective_sessions=offer.sessions_per_unit)
        names.update(time_names(q, speed, "kept", kept))
        names.update(time_names(q, speed, "next", kept + 1))
    if q.requests_per_second is not None or not limited:
        names.update(time_names(q, speed, "full", ceil_div(full, replicas)))
    if q.requests_per_second is not None:
        names.update(planned_sessions=float(planned), full_sessions=full,
                     sessions_in_progress=r.concurrency,
                     full_latency_seconds=float(planned / q.requests_per_second))
    return names


def time_names(q: Question, speed: Speed, lead: str, sessions: int) -> Json:
    """Os tempos de uma réplica com tantas sessões que algum objetivo julga."""
    names: Json = {"per_replica": sessions, "step_ms": speed.step_ms(sessions),
                   "tpot_ms": speed.tpot_ms(sessions)}
    if q.requests_per_second is not None or set(FIRST_TOKENS) & set(q.time_limits_ms):
        names.update(first_token_names(speed, sessions))
    for time in q.time_limits_ms:
        if time + "_ms" in names:
            names[time + "_high_ms"] = names[time + "_ms"] * speed.margins[time]
    return {"%s_%s" % (lead, name): value for name, value in names.items()}


def first_token_names(speed: Speed, sessions: int) -> Json:
    """O TTFT sem fila e, se ela se prevê, com ela."""
    times = {time + "_ms": speed.time_ms(time, sessions) for time in FIRST_TOKENS}
    return {"step_ms": speed.step_ms(sessions), "unqueued_ms": speed.unqueued_ms(sessions),
            "prompt_steps": speed.prompt_steps(sessions), "service_ms": speed.service_ms(sessions),
            "queue_utilization": speed.queue_utilization(sessions),
            **{name: ms for name, ms in times.items() if ms < inf}}


def answer_names(r: SizingResult) -> Json:
    """O que a resposta usa e os blocos do resultado não trazem."""
    q, offer = r.question, r.offer
    request = q.context_source == "request"
    return {
        "longest_tokens": q.effective_context if q.context_mix else None,
        "request_cached_tokens": q.prompt_tokens - offer.input_tokens if request else None,
        "request_new_tokens": offer.input_tokens, "prefix_copies": offer.prefix_copies,
        "kv_own_mean_bytes": mean_bytes(own_kv_sizes(r.question)),
        "concurrency": r.concurrency, "effective_context": q.effective_context,
        "output_tokens": q.output_tokens, "runtime_overhead_gib": q.runtime_overhead_gib,
        "kv_budget_bytes": kv_budget_bytes(r.question), "plan_sessions": offer.plan_sessions,
        "ha_spares": q.ha_spares, "tpot_scale": offer.tpot_scale, "units": r.units,
        "replicas_per_unit": offer.replicas_per_unit,
        "sessions_per_node": (offer.sessions_per_node if offer.nodes_per_unit > 1
                              else None),  # num nó, é a mesma
        "spare_sessions": r.spare_sessions if r.asks == "load" else None,
        "nodes_bought": r.nodes_final if r.asks == "nodes" else None,
        "recovering_nodes": offer.nodes_per_unit if q.storage.shared else 1,
        "starting_nodes": r.nodes_final if q.storage.shared else 1}


def layout_names(r: SizingResult) -> Json:
    q, layout = r.question, r.offer.layout
    if not layout:
        return {}
    tp, pp, dp = layout.tensor_parallel, layout.pipeline_parallel, layout.data_parallel
    weights = weight_parts(q, tp, dp, pp)
    return {
        **activation_parts(q, tp, dp), **weights,
        "stage_expert_bytes": weights["expert_bytes"],  # a velocidade os conta todos
        "graph_bytes": graph_bytes(q, pp),
        "graphs_captured": graphs_captured(q.server, layout.max_num_seqs),
        **fields_of(layout), "runtime_bytes": layout.runtime_bytes,
        "block_bytes": layout.blocks.block_bytes, "kv_blocks": layout.kv_blocks,
        "held_blocks": layout.held_sizes[-1][0] + layout.shared_blocks,
        "sessions_logged": layout.sessions_logged,
        "session_bytes_per_gpu": layout.session_bytes_per_gpu,
        "ceiling_sessions": layout.ceiling_sessions}


def alternatives(r: SizingResult, servers: Sequence[Server]) -> list[Json]:
    """O que mudaria a resposta, uma escolha por vez: {change, answer} (None: nada cabe)."""
    q, options = r.asked, {}
    if r.offer.nodes_per_unit > 1:  # pouco mais de HBM pode pôr a réplica num nó
        options.update({percent_text(ratio) + " da HBM": replace(q, gpu_memory_utilization=ratio)
                        for ratio in HIGHER_UTILIZATIONS
                        if ratio > q.gpu_memory_utilization and not q.engine_log})
    weights = "fp8" if q.weights_precision in ("bf16", "fp16") else "bf16"
    other_weights = replace(q, requested_weights_precision=weights)
    if r.offer.layout and not missing_for_ceiling(other_weights) and not q.engine_log:
        options["pesos " + weights] = other_weights
    other = "fp16" if q.element_bytes == 1 else "fp8"
    if other in kv_precisions_of(q.model, q.server):
        options["KV " + other] = replace(q, kv_precision=other)
    if q.timed:
        options.update(load_alternatives(r))
    if r.asks == "nodes" and not q.ha_spares:
        options["n+1"] = replace(q, ha_mode="n+1")
    larger = [server for server in servers if server.total_hbm_gb > q.server.total_hbm_gb
              and not q.has_measurement]  # o que se mediu num servidor não vale em outro
    for server in sorted(larger, key=lambda server: server.total_hbm_gb)[:1]:
        change = product_text(server) + (
            ", tp auto" if q.tensor_parallel or q.pipeline_parallel else "")
        options[change] = replace(q, server=server, tensor_parallel=None, pipeline_parallel=None)
    half = replace(q, requested_context=r.question.effective_context // 2 or None)
    if r.asks != "context" and q.context_source != "request" and not q.context_mix and (
            half.requested_context and half.request_fits):
        options["contexto %d" % half.effective_context] = half
    answers = {change: attempt(option) for change, option in options.items()}
    return [{"change": change, "answer": result.answer if result else None}
            for change, result in answers.items()]


def load_alternatives(r: SizingResult) -> dict[str, Question]:
    """O que mudaria quando a velocidade decide: o prefixo em cache e a confiança."""
    q, options = r.asked, {}
    whole = replace(q, requested_cached_tokens=None, shared_prefix_tokens=0,
                    requested_context=q.effective_context)
    if r.asks != "context" and not q.context_mix:
        if len(q.ends) > 1:
            options["prefixo em cache"] = replace(
                whole, input_tokens=TURN_TOKENS, shared_prefix_tokens=q.shared_prefix_tokens)
        elif q.prompt_tokens > q.ends[0]:
            options["sem prefixo em cache"] = replace(whole, input_tokens=q.prompt_tokens)
    if q.confidence == EVEN:
        options["confiança 90%"] = replace(q, confidence=CONFIDENT)
    return options


def launch_lines(r: SizingResult) -> list[str]:
    """O comando do motor que põe o leiaute no ar, com comentários do que falta fazer à mão."""
    q, layout = r.question, r.offer.layout
    if layout is None:
        return comment("sem o teto físico não há leiaute; " + missing_text(r.capacity.missing))
    engines = layout.replicas_per_unit * layout.data_parallel
    sequences = q.requested_max_num_seqs or ceil_div(r.offer.sessions_per_unit, engines)
    if not r.pools:
        return launch_command(q, layout, sequences)
    prompts = r.pools.prefill.layout
    return [
        *comment("um roteador (llm-d, Dynamo) manda cada prompt a um prefill, e daí a um decode; "
                 "VLLM_NIXL_SIDE_CHANNEL_HOST é o IP do nó; a _PORT, uma por processo"),
        "# prefill:",
        *launch_command(q, prompts, min(sequences, prompts.max_num_seqs), "kv_producer"),
        "# decode:", *launch_command(q, layout, sequences, "kv_consumer")]


def comment(text: str) -> list[str]:
    return ["# " + line for line in folded(text, 0, WIDTH - 2)]


def launch_command(q: Question, layout: Layout, sequences: int, kv_role: str = "") -> list[str]:
    words = launch_words(q, layout, sequences)
    if kv_role:
        words += ["--kv-transfer-config", "'%s'" % json.dumps(
            {"kv_connector": "NixlConnector", "kv_role": kv_role})]
    command = " \\\n".join(folded(" ".join(
        word.replace(" ", GLUE) for word in words), 4, WIDTH - 2))
    return [*launch_notes(q, layout), *command.splitlines()]


def launch_notes(q: Question, layout: Layout) -> list[str]:
    notes, nodes, replicas = [], layout.nodes_per_unit, layout.replicas_per_unit
    if q.weights_precision != q.model.native_precision and not quantized_on_load(q):
        notes.append("pesos em %s: use um checkpoint nesta precisão" % q.weights_precision)
    if q.element_bytes == 2:
        notes.append("KV no tipo do modelo, de 16 bits como " + q.kv_precision)
    if nodes > 1:
        notes.append("em cada nó da réplica, com N=0 a %d (0 é o IP_DO_NÓ_0); de N=1 em diante, "
                     "acrescente --headless" % (nodes - 1))
    if replicas > 1:
        notes.append("%d processos por nó: o processo i usa as GPUs a partir de i*%d e a porta "
                     "8000+i" % (replicas, layout.replica_gpus))
    return list(chain.from_iterable(map(comment, notes)))


def engine_kv_dtype(q: Question) -> str:
    """Nunca auto, que em alguns modelos é fp8; 16 bits são sempre os do modelo."""
    if q.element_bytes == 2:
        return "float16" if q.model.native_precision == "fp16" else "bfloat16"
    return "int8_per_token_head" if q.kv_precision == "int8" else q.kv_precision


def draft_words(hf_id: str | None, drafts: int) -> list[str]:
    """As camadas MTP do modelo ou o EAGLE3 de outro repositório, campo a campo: não se dobra."""
    if hf_id:
        return ["--speculative-config.%s %s" % field for field in (
            ("method", "eagle3"), ("model", hf_id), ("num_speculative_tokens", drafts))]
    return ["--speculative-config '%s'" % json.dumps(
        {"method": "mtp", "num_speculative_tokens": drafts})]


def launch_words(q: Question, layout: Layout, sequences: int) -> list[str]:
    tp, dp, gpus = layout.tensor_parallel, layout.data_parallel, q.server.gpus
    nodes, replicas = layout.nodes_per_unit, layout.replicas_per_unit
    words = []
    if replicas > 1:
        words.append("CUDA_VISIBLE_DEVICES=" + ",".join(map(str, range(layout.replica_gpus))))
    words.append("vllm serve " + (q.model.hf_id or "CAMINHO_DO_MODELO"))
    if quantized_on_load(q):
        words.append("--quantization fp8")
    words.append("--tensor-parallel-size %d" % tp)
    if layout.pipeline_parallel > 1:
        words.append("--pipeline-parallel-size %d" % layout.pipeline_parallel)
    if dp > 1:
        words.append("--data-parallel-size %d --enable-expert-parallel" % dp)
    if nodes > 1 and dp > 1:
        words += ["--data-parallel-size-local %d" % gpus,
                  "--data-parallel-start-rank $((N*%d))" % gpus,
                  "--data-parallel-address IP_DO_NÓ_0"]
    if nodes > 1 and dp == 1:
        words += ["--nnodes %d" % nodes, "--node-rank $N", "--master-addr IP_DO_NÓ_0"]
    words += [
        "--max-model-len %d" % q.effective_context,
        "--kv-cache-dtype " + engine_kv_dtype(q),
        "--gpu-memory-utilization " + given_text(q.gpu_memory_utilization),
        "--max-num-seqs %d" % sequences,
        # O motor recusa menos tokens por passo do que sequências.
        "--max-num-batched-tokens %d" % max(sequences, q.max_num_batched_tokens)]
    if q.speculative_tokens:
        words += draft_words(q.mtp.get("hf_id"), q.speculative_tokens)
    if q.model.launch_args:
        words.append(q.model.launch_args)
    if replicas > 1:
        words.append("--port 8000")
    return words


# A página em português de `--explain`, um parágrafo por passo da conta; os mesmos números estão,
# com a fórmula, em `figures_of`.

PARTS = {"weights": "leitura dos pesos", "experts": "especialistas", "kv": "leitura do KV",
         "communication": "comunicação entre GPUs", "launch": "partida dos kernels",
         "draft": "rascunho",
         "prefill_interference": "prefill dos outros pedidos"}
SOURCES = {"flag": "", "request": ", a soma do pedido", "model": ", o máximo do modelo",
           "answer": ", a resposta"}


def plain_paragraphs(r: SizingResult) -> list[str]:
    """O que se pediu, o que limita, cada passo, a convenção, a medida e a previsão."""
    return [text for text in (part(r) for part in (
        asked_plain, request_plain, limit_plain, memory_plain, plan_plain, engine_plain,
        objectives_plain, nodes_plain, pools_plain, speed_plain, failure_plain, convention_plain,
        measured_plain, predicted_plain)) if text]


def asked_plain(r: SizingResult) -> str:
    q, server, rate = r.question, product_text(r.question.server), ""
    model = "%s (pesos %s, KV %s)" % (q.model.name, q.weights_precision, q.kv_precision)
    load = "%s de %s" % (sessions_text(r.concurrency), model)
    if q.requests_per_second is not None:
        rate = number_text(q.requests_per_second, 9)
        load = "%s %s por segundo a %s, %s ao mesmo tempo" % (
            rate, "pedido" if rate == "1" else "pedidos", model, sessions_text(r.concurrency))
    keep = "mantém" if r.nodes_final == 1 else "mantêm"
    given = "%d × %s" % (r.nodes_final, server)
    text = {"nodes": "quantos %s para %s" % (server, load),
            "sessions": "quantas sessões de %s %s %s" % (model, given, keep),
            "context": "até que contexto %s %s %s" % (given, keep, load),
            "load": "se %s %s %s" % (given, keep, load)}[r.asks]
    extra = ["%s de pico" % percent_text(q.peak_headroom_ratio)] * bool(q.peak_headroom_ratio)
    extra += ["reserva " + q.ha_mode.upper()] * bool(q.ha_spares)
    return "Pergunta: %s%s." % (text, ", com " + " e ".join(extra) if extra else "")


def request_plain(r: SizingResult) -> str:
    q, ends = r.question, r.question.ends
    tokens, each = plural(q.effective_context, "token"), "por pedido"
    if q.context_mix:
        shares = ["%s de %d" % (percent_text(share), length) for length, share in q.context_mix]
        tokens, each = "%s tokens" % ", ".join(shares), "na maior"
    source = "answer" if r.asks == "context" else q.context_source
    cached = q.prompt_tokens - ends[0]
    text = "Sessão: %s%s; %s, %s%s e %s" % (
        tokens, SOURCES[source], each, "%d em cache, " % cached if cached else "",
        plural(ends[0], "novo"), plural(q.output_tokens, "gerado"))
    if len(ends) > 1:
        text += " (ou %d novos, resto em cache)" % ends[1]
    if q.shared_prefix_tokens:
        text += "; prefixo comum: %d" % q.shared_prefix_tokens
    return text + "."


LIMITING = {"plan": "o plano", "engine_memory": "a memória do motor",
            "max_num_seqs": "o max_num_seqs do motor",
            "tpot": "a velocidade", "ttft": "o 1º token", "ttft_p95": "o P95 do 1º token"}


def limit_plain(r: SizingResult) -> str:
    offer, others = r.offer, {"plan": "plano: %d" % r.offer.plan_sessions}
    if offer.layout:
        others["engine_memory"] = "motor: %d" % offer.layout.ceiling_sessions
    others.pop(offer.limited_by, None)
    if offer.layout and offer.limited_by == "max_num_seqs":
        others["engine_memory"] = "na memória: %d" % (
            offer.layout.sessions_held * offer.prefix_copies)
    return "Limite: %s, com %s por %s%s." % (
        LIMITING[offer.limited_by], sessions_text(offer.sessions_per_unit),
        unit_text(offer.nodes_per_unit), " (%s)" % "; ".join(others.values()) if others else "")


def memory_plain(r: SizingResult) -> str:
    q, own = r.question, mean_bytes(own_kv_sizes(r.question))
    text = "KV: uma sessão guarda " + size_text(kv_per_session_bytes(q))
    if q.context_mix:
        text = "KV: a maior sessão guarda %s, a média %s" % (
            size_text(kv_per_session_bytes(q)), size_text(own))
    text += "; %s, %s" % (sessions_text(r.concurrency), size_text(results_of(r)["kv_total_bytes"]))
    if q.shared_prefix_tokens:
        text += ", com %s comuns por réplica" % size_text(shared_prefix_bytes(r.question))
    if q.context_mix:
        text += "; cabe o percentil 99 do total"
    return text + "."


def plan_plain(r: SizingResult) -> str:
    q, unit = r.question, r.offer.nodes_per_unit
    text = "Plano: %s dos %s GB menos %s GiB são %s/nó: %s" % (
        percent_text(q.kv_budget_ratio), decimal_text(q.server.total_hbm_gb, 1),
        given_text(q.runtime_overhead_gib), size_text(kv_budget_bytes(r.question)),
        sessions_text(r.offer.plan_sessions))
    return text + (" em %d nós." % unit if unit > 1 else ".")


def engine_plain(r: SizingResult) -> str:
    q, layout = r.question, r.offer.layout
    if not layout:
        return "Motor: sem teto, %s; só o plano limita." % missing_text(r.capacity.missing)
    each = "em cada uma das %d réplicas" % layout.replicas_per_unit
    if layout.replicas_per_unit == 1:
        each = "na réplica, " + ("o nó todo" if layout.nodes_per_unit == 1 else
                                 "de %d nós" % layout.nodes_per_unit)
    return "Motor: %s dos %s GiB da GPU, menos pesos (%s) e motor (%s), são %s: %s %s (%s)." % (
        percent_text(q.gpu_memory_utilization),
        decimal_text(q.server.hbm_usable_gib_per_gpu or 0, 2), size_text(layout.weights_bytes),
        size_text(layout.runtime_bytes), size_text(layout.kv_capacity_bytes),
        sessions_text(layout.sessions_per_replica), each, layout)


def objectives_plain(r: SizingResult) -> str:
    """O tempo que limita, com as sessões admitidas e com uma a mais; ou todos, se não limitam."""
    q, offer, names, parts = r.question, r.offer, limit_names(r), []
    limited = offer.limited_by in q.time_limits_ms
    lead = "kept" if limited else "full"
    for time, limit in q.time_limits_ms.items():
        if limited and time != offer.limited_by:
            continue
        text = "%s de %s ms (limite %s)" % (
            LIMITS[time], near_text(names["%s_%s_high_ms" % (lead, time)], limit),
            given_text(limit))
        if limited:
            more_ms = names.get("next_%s_high_ms" % time)
            more = "%s ms" % near_text(more_ms, limit) if more_ms else "a fila não se prevê"
            text += "; com uma a mais, %s; %d × %d = %d" % (
                more, names["kept_per_replica"], offer.replicas_per_unit, offer.sessions_per_unit)
        parts.append(text)
    if not parts:
        return ""
    return "Objetivos: com %s na réplica%s, %s." % (
        sessions_text(names[lead + "_per_replica"]),
        ", na ponta ruim da faixa" if offer.speed and offer.speed.confident else "",
        " e ".join(parts))


def nodes_plain(r: SizingResult) -> str:
    q, offer, (minimum, with_peak, final) = r.question, r.offer, r.served_nodes
    (planned, full), spares = offer.demand(q), offer.nodes_per_unit * q.ha_spares
    lead = "Nós de decode" if r.pools else "Nós"
    each = "%d por %s" % (full, unit_text(offer.nodes_per_unit))
    if full < offer.sessions_per_unit:  # as que sobram da divisão pelas réplicas não servem
        each += " (%d por réplica)" % (full // offer.replicas_per_unit)
    if r.asks == "sessions":
        return "%s: %d%s, a %s%s: %s." % (
            lead, final, " menos %d de reserva" % spares if spares else "", each,
            " e com o pico à parte" if q.peak_headroom_ratio else "", sessions_text(r.concurrency))
    load = sessions_text(int(planned))
    if q.requests_per_second is not None:
        load = "%s pedidos/s × %s s de latência%s = %s sessões" % (
            number_text(q.requests_per_second, 4),
            number_text(float(planned / q.requests_per_second), 4),
            " (ponta ruim)" if offer.speed and offer.speed.confident else "",
            number_text(float(planned), 4))
    text = "%s: %s, a %s: %d" % (lead, load, each, minimum)
    if q.peak_headroom_ratio:
        text += "; com o pico, %d" % with_peak
    if spares:
        text += "; com %d de reserva, %d" % (spares, with_peak + spares)
    if q.nodes:
        text += ", de %s" % plural(q.nodes, "dado")
    if r.asks == "context" and q.effective_context < q.model.max_position_embeddings:
        text += "; um contexto maior não cabe"
    return text + "."


def pools_plain(r: SizingResult) -> str:
    return ". ".join("%s: %s" % row for row in pools_rows(r)) + "." * bool(r.other_mode)


def speed_plain(r: SizingResult) -> str:
    case = r.nominal
    if not case:
        return "Velocidade: não se prevê%s." % (
            ", " + speed_gap(r) if r.offer.layout else ", pela mesma falta")
    part = case["binding"]
    text = "Velocidade: até %s por réplica, %s ms por token (TPOT), %s de %s: %s " % (
        sessions_text(case["sessions_per_replica"]), number_text(case["tpot_ms"]["estimate"]),
        number_text(case["breakdown_ms"][part]), PARTS[part], number_text(case[RATE + "session"]))
    text += "tokens/s; 1º token "
    if not case["ttft_ms"]:
        return text + "previsto só até %s." % sessions_text(case["queue_sessions_per_replica"])
    return text + "em %s s, P95 %s s." % tuple(
        number_text(case[name]["estimate"] / 1000) for name in ("ttft_ms", "ttft_p95_ms"))


def failure_plain(r: SizingResult) -> str:
    ha, unit, back = r.ha_plan, r.offer.nodes_per_unit, r.storage_plan["node_recovery_seconds"]
    left, failed = ha["nodes_after_failure"], ha["failed_nodes"]
    stops = "para os %d da sua réplica, " % unit if unit > 1 else ""
    if not left and failed == 1:
        stops = "para o serviço, "
    text = "Falha: um nó que cai %sinterrompe %s%s." % (
        stops, sessions_text(ha["interrupted_sessions"]),
        " e volta em ~" + seconds_text(back) if back else "")
    if not left:
        return text + (" Com %d quedas, o serviço para." % failed if failed > 1 else "")
    text += " Com %s%s, " % (plural(failed, "queda"), " em cada lote" * bool(r.pools))
    if r.question.requests_per_second is not None:
        return text + "%s no ar; a taxa pede %d, e o pico, %d." % (
            plural(left, "nó"), r.nodes_minimum, r.nodes_with_headroom)
    return text + "%s para %s%s." % (
        plural(ha["sessions_after_failure"], "vaga"), sessions_text(r.concurrency),
        " (%d no pico)" % r.peak_sessions if r.question.peak_headroom_ratio else "")


def convention_plain(r: SizingResult) -> str:
    q, engine = r.question, ""
    if r.offer.layout:
        engine = ", %s do motor" % percent_text(q.gpu_memory_utilization)
    return "Convenção (há flags): %s e %s GiB do plano%s, pico, reserva." % (
        percent_text(q.kv_budget_ratio), given_text(q.runtime_overhead_gib), engine)


# De onde vêm os bytes dos pesos (`weights_source`) → como se diz ao lado da precisão; e no que se
# mediu, se não foram medidos.
WEIGHTS_SOURCES = {"safetensors": " (dos safetensors)", "index": " (do índice)",
                   "counted": " (contados)", "flag": " (--weights-gib)"}
UNMEASURED_WEIGHTS = {"counted": "; pesos %(precision)s só contados",
                      "flag": "; pesos de --weights-gib"}


def weights_source(q: Question) -> str:
    """safetensors, index, counted (pelos parâmetros), flag ou catalogue."""
    return "counted" if q.converted else q.model.weights_source or "catalogue"


def measured_plain(r: SizingResult) -> str:
    q, read, parts = r.question, r.storage_plan["checkpoint_bytes"], []
    if q.server.hbm_usable_gib_per_gpu:
        parts.append("HBM que o driver mostra")
    if read and weights_source(q) not in UNMEASURED_WEIGHTS:
        parts.append("checkpoint de %s GB" % decimal_text(Fraction(read, GB), 1))
    text = " e ".join(parts) + " (fontes: as notas)" if parts else "nada"
    return "Medido: %s%s." % (text, UNMEASURED_WEIGHTS.get(weights_source(q), "")
                              % {"precision": q.weights_precision})


def predicted_plain(r: SizingResult) -> str:
    """O que é previsão e até onde ela erra."""
    q, case, speed = r.question, r.nominal, r.offer.speed
    if not case or not speed:
        return "Previsto: a memória do motor." if r.offer.layout else ""
    text = ("Previsto: tempos e memória. Faixa de 80%%: TPOT × %s a %s (%s a %s ms)"
            % tuple(map(number_text, (
                *speed.tpot_range, case["tpot_ms"]["low"], case["tpot_ms"]["high"]))))
    if case["ttft_ms"]:
        text += ", TTFT × %s a %s" % FIRST_TOKENS["ttft"][1]
    if q.calibration:
        text += "; calibrado por %s ms" % number_text(q.calibration[0], 9)
    outside = extrapolations(r)
    if outside:
        text += ". Fora do medido: " + ", ".join(outside)
    return text + "."


# ── Apêndice: visões: text_report, explanation_text, json_document e os seus blocos

LABEL, HBM_LABEL = 12, "HBM por nó"  # colunas do rótulo de cada linha; o da barra
SCREEN_LINES = 24  # de um terminal


def text_report(r: SizingResult, servers: Sequence[Server] = ()) -> str:
    """A primeira tela: a decisão, a pergunta, as metas, o risco, o limite, a falha e os avisos."""
    question, risks = ([line for text in texts for line in folded(text, 2)]
                       for texts in (question_texts(r), risk_texts(r)))
    sections = [headline(r) + question, goal_lines(r) + risks, limit_lines(r, servers)]
    lines = list(chain.from_iterable([*section, ""] for section in sections if section))[:-1]
    for warning in other_warnings(r):
        lines += folded("! " + warning, 2)
    lines += folded(where_next(r))
    for spare in (*[line for line in lines if line[:1] == "["], "", ""):  # nada dizem de novo
        if len(lines) > SCREEN_LINES and spare in lines:
            lines.remove(spare)
    return "\n".join(lines) + "\n"


def labelled(label: str, text: str) -> list[str]:
    return folded("%-*s %s" % (LABEL - 1, label, text), LABEL)


def headline(r: SizingResult) -> list[str]:
    """O que comprar, ou o que os nós dados mantêm, e o que isso pede de energia e espaço."""
    text, amounts = HEADLINES[r.asks](r), " · ".join(physical_amounts(r))
    together = text + "    " * bool(amounts) + amounts
    if len(together) <= WIDTH:
        return [together]
    return folded(text, 2) + folded("  " + amounts.replace(" ", GLUE).replace(
        GLUE + "·" + GLUE, " · "), 2)


def purchase_headline(r: SizingResult) -> str:
    q, spares = r.question, r.nodes_final - r.nodes_with_headroom
    for_peak = r.nodes_with_headroom
    verb = "atende" if for_peak == 1 else "atendem"
    text = "%d %s o pico, sem reserva" % (for_peak, verb)
    if spares:
        text = "%d %s o pico + %d de reserva" % (for_peak, verb, spares)
    return "COMPRE %d × %s  (%s)" % (r.nodes_final, product_text(q.server), text)


def owned_text(r: SizingResult) -> str:
    if r.nodes_final == 1:
        return "SEU %s MANTÉM" % product_text(r.question.server)
    return "SEUS %d × %s MANTÊM" % (r.nodes_final, product_text(r.question.server))


def load_request_text(r: SizingResult) -> str:
    rate = r.question.requests_per_second
    if rate is None:
        return sessions_text(r.concurrency)
    return "%s pedido%s/s (%s)" % (number_text(rate, 9), "" if rate == 1 else "s",
                                   sessions_text(r.concurrency))


def sessions_headline(r: SizingResult) -> str:
    q = r.question
    text = "%s até %s" % (owned_text(r), sessions_text(r.concurrency))
    if q.context_mix:
        return text + " da mistura"
    text += " de " + plural(q.effective_context, "token")
    return text + " (o máximo do modelo)" * (q.context_source == "model")


def context_headline(r: SizingResult) -> str:
    return "%s %s de até %s" % (owned_text(r), load_request_text(r),
                                plural(r.question.effective_context, "token"))


def load_headline(r: SizingResult) -> str:
    return "%s %s, com %s" % (owned_text(r), load_request_text(r),
                              plural(r.spare_sessions, *ANSWERS["load"]))


HEADLINES = {"nodes": purchase_headline, "sessions": sessions_headline,
             "context": context_headline, "load": load_headline}


def physical_amounts(r: SizingResult) -> list[str]:
    """Potência, espaço e dinheiro, o que se sabe."""
    units = {"power_kw": "kW", "rack_units": "U",
             "racks": "rack" if r.physical["racks"] == 1 else "racks"}
    amounts = [(r.physical[name], unit) for name, unit in units.items() if r.physical[name]]
    parts = ["%s %s" % (decimal_text(amount, 2 if amount < 10**7 else 0), unit)
             for amount, unit in amounts]
    return parts + (["custo %s" % money_text(r.costs["total"])] if r.costs else [])


def question_texts(r: SizingResult) -> list[str]:
    """A pergunta como foi entendida: modelo, precisões, carga, pedido, motor."""
    q, peak = r.question, percent_text(r.question.peak_headroom_ratio)
    load = load_request_text(r)
    if q.peak_headroom_ratio:
        load += ", pico de %s %s %d" % (
            peak, "=" if q.requests_per_second is None else "nos nós do pico:", r.peak_sessions)
    if r.asks in ("sessions", "context") and q.ha_spares:
        load += ", %s à parte" % q.ha_mode.upper()
    source = WEIGHTS_SOURCES[weights_source(q)] if q.model.weights_source else ""
    about = "%s, pesos %s%s, KV %s · %s" % (
        q.model.name, q.weights_precision, source, q.kv_precision, load)
    asked = [request_text(r)]
    if r.offer.layout:
        asked.append(("%s, %s" % (ENGINE, layouts_text(r))).replace(" ", GLUE))
    if q.gpu_memory_utilization != DEFAULT_GPU_MEMORY_UTILIZATION:
        asked.append(percent_text(q.gpu_memory_utilization) + " da HBM")
    asked += ["%s %d" % (name, value) for name, value in (
        ("max_num_seqs", q.requested_max_num_seqs),
        ("max_num_batched_tokens", q.requested_max_num_batched_tokens)) if value]
    if q.speculative_tokens:
        asked.append(plural(q.speculative_tokens, "rascunhado", "rascunhados") + " por passo")
        if r.offer.speed and q.acceptance_length:
            asked[-1] += ", aceitação de " + number_text(q.acceptance_length, 9)
    if q.engine_log:
        asked.append("KV do log do motor")
    if q.confidence != EVEN:
        asked.append("confiança de " + percent_text(q.confidence))
    if q.calibration:
        asked.append("tempos × %s, calibrados por %s ms com %s na réplica de %s" % (
            number_text(r.offer.tpot_scale), number_text(q.calibration[0], 9),
            sessions_text(q.calibration[1]), r.offer.layout))
    return [about, "Pedido: " + " · ".join(asked)]


def layouts_text(r: SizingResult) -> str:
    if not r.pools:
        return str(r.offer.layout)
    return "prefill %s, decode %s" % (r.pools.prefill.layout, r.offer.layout)


def request_text(r: SizingResult) -> str:
    """Em cache, novos e gerados por pedido, e de onde veio o contexto."""
    q, ends = r.question, r.question.ends
    source = ""
    if r.asks in ("nodes", "load") and q.context_source == "model":
        source = ", o máximo do modelo"  # nas outras perguntas, a manchete o diz
    total = plural(q.effective_context, "token") + source
    common = q.shared_prefix_tokens
    if q.context_mix:
        new = "todo o prompt novo (ou %d, resto em cache)" % ends[-1]
        if q.input_tokens is not None or len(ends) == 1:
            new = plural(ends[0], "novo") + ", resto em cache" * (q.input_tokens is not None)
        return "%s tokens%s; %s, %s" % (
            ", ".join("%s de %d" % (percent_text(share), tokens)
                      for tokens, share in q.context_mix),
            " (%d comuns a todas)" % common if common else "", new,
            plural(q.output_tokens, "gerado"))
    if len(ends) > 1:
        return "%s: %s%d novos (ou %d, resto em cache), %s" % (
            total, "%d comuns a todas + " % common if common else "", ends[0], ends[1],
            plural(q.output_tokens, "gerado"))
    cached = q.prompt_tokens - ends[0]
    parts = ["%d em cache%s" % (
        cached, " (%d comuns a todas)" % common if common else "")] * bool(cached)
    parts += [plural(ends[0], "novo"), plural(q.output_tokens, "gerado")]
    return "%s = %s" % (" + ".join(parts), total)


VERDICTS = {"met": "ok", "at_risk": "RISCO", "missed": "não"}
# Grandeza → (como se lê de uma carga, rótulo, rótulo com o objetivo, divisor do que se mostra).
GOALS: dict[str, tuple[Callable[[Json], Json | None], str, str, int]] = {
    "tpot_ms": (lambda case: case["tpot_ms"], "", "TPOT ≤ %s ms", 1),
    "tokens_per_second": (
        lambda case: rate_of(case, "session"),
        "tokens/s", "≥ %s tokens/s", 1),
    "ttft_ms": (lambda case: case["ttft_ms"], "1º token (s)", "1º token ≤ %s s", 1000),
    "ttft_p95_ms": (lambda case: case["ttft_p95_ms"], "", "1º token P95 ≤ %s s", 1000),
    "node": (lambda case: rate_of(case, "node"),
             "tokens/s por nó", "", 1)}


@dataclass(frozen=True, eq=False)
class Goal:
    """Uma linha da tabela de metas: o rótulo e, em cada carga, a previsão e o veredito."""

    label: str
    cells: list[str]


def goals_of(r: SizingResult) -> list[Goal]:
    """As metas, e as previsões sem meta, nas duas pontas da carga se são duas."""
    goals, verdicts = [], {(item["name"], item["state"]): item for item in objectives_of(r)}
    several = len(r.question.ends) > 1
    for new, group in groupby(shown_cases(r), lambda case: case["input_tokens"]):
        cases, first = list(group), new == r.offer.input_tokens
        for name, (read, label, with_limit, divisor) in GOALS.items():
            judged = [verdicts.get((name, case["state"])) if first else None for case in cases]
            if judged[0]:
                label = with_limit % number_text(judged[0]["limit"] / divisor, 9)
            elif several and label:
                label += ", novo" if first else ", cache"
            if label:
                goals.append(Goal(label, [
                    goal_cell(read(case), divisor, item) for case, item in zip(cases, judged)]))
    return goals


def goal_cell(figure: Json | None, divisor: int, judged: Json | None) -> str:
    text = "fila"
    if figure:
        shown = {name: value / divisor for name, value in figure.items()}
        at_limit = [dict(shown, **{edge: judged["limit"] / divisor})
                    for edge in ("low", "high")] if judged else []
        # Com os algarismos sem os quais uma ponta pareceria do outro lado do limite.
        text = range_text(shown, next((digits for digits in range(2, 9) if all(
            range_text(shown, digits) != range_text(edge, digits) for edge in at_limit)), 9))
    return text + (" " + VERDICTS[judged["verdict"]] if judged else "")


def asked_sessions(r: SizingResult, case: Json) -> Exact:
    """As que a carga pede, sem pico; de uma taxa, à latência desta carga (lei de Little)."""
    q, speed = r.question, r.offer.speed
    if q.requests_per_second is None or not speed:
        return q.concurrency or 0
    latency = speed.planned_latency_seconds(case["sessions_per_replica"])
    return q.requests_per_second * Fraction(latency)


def state_titles(r: SizingResult) -> list[tuple[str, str]]:
    """(nós no ar, sessões) de cada estado."""
    q, titles = r.question, []
    for case in shown_cases(r):
        if case["input_tokens"] != r.offer.input_tokens:
            break  # a outra ponta tem os mesmos estados
        headroom = q.peak_headroom_ratio if "peak" in case["state"] else 0
        sessions = "%d" % case["sessions"]
        if not case["covered"]:
            sessions += "/%d" % with_headroom(asked_sessions(r, case), headroom)
        titles.append((plural(case["nodes"], "nó"), "pico " * bool(headroom) + sessions))
    return titles


def goal_rows(r: SizingResult) -> list[tuple[str, list[str]]]:
    """(rótulo, células) da tabela de metas; a primeira linha é a dos títulos."""
    titles = ("Meta" if objectives_of(r) else "Previsto", list(map(", ".join, state_titles(r))))
    return [titles, *((goal.label, goal.cells) for goal in goals_of(r))]


def aligned(rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Rótulos à esquerda e células à direita, em colunas; vazia se não cabem na linha."""
    first = max(len(label) for label, _ in rows)
    widths = [max(map(len, column)) for column in zip(*(cells for _, cells in rows))]
    gap = min(4, (WIDTH - first - sum(widths)) // len(widths))
    if gap < 1:
        return []
    return ["%-*s%s" % (first, label, "".join(
        cell.rjust(width + gap) for cell, width in zip(cells, widths))) for label, cells in rows]


def goal_lines(r: SizingResult) -> list[str]:
    """A tabela de metas: uma coluna por estado, com a faixa de 80% e o veredito."""
    if not r.performance:
        return []
    title, *goals = rows = goal_rows(r)
    nodes, loads = map(list, zip(*state_titles(r)))
    # Se não cabe, o título em duas linhas; com números enormes, uma linha por grandeza.
    return aligned(rows) or aligned([(title[0], nodes), ("", loads), *goals]) or [
        line for label, cells in rows for line in folded("%s: %s" % (label, "; ".join(cells)), 2)]


def limit_rows(r: SizingResult, servers: Sequence[Server]) -> list[tuple[str, str]]:
    """(rótulo, texto): o que limita, a memória, a falha e o que mudaria a resposta."""
    each = "Decode/" if r.pools else "Sessões/"
    rows = [(each + unit_text(r.offer.nodes_per_unit), limit_text(r)),
            ("KV", session_kv_text(r)),
            ("Nós", "%s; storage %s" % (nodes_text(r), r.question.storage.name)),
            *pools_rows(r)]
    contexts = by_context(r.question) if r.asks == "sessions" else []
    if contexts:
        rows.append(("Contextos", " · ".join(
            "%dk:%s%d" % (row["effective_context"] // 1024, GLUE, row["max_concurrency"])
            for row in contexts)))
    if r.costs:
        rows.append(("Custo", cost_text(r)))
    if r.question.engine_log and r.offer.layout:
        rows.append(("Log", log_text(r.question, r.offer.layout, r.question.engine_log)))
    if r.offer.layout:
        rows.append((HBM_LABEL, "%s GiB: %s" % (
            decimal_text(sum(hbm_parts(r).values()), 0), " ".join(
                "%s %s" % (label, decimal_text(part, 0)) for label, part in hbm_parts(r).items()))))
    rows += [(failure_label(r), failure_text(r)), ("Mudaria", changes_text(r, servers))]
    return [(label, text) for label, text in rows if text]


def log_text(q: Question, layout: Layout, log: EngineLog) -> str:
    """De que motor é o log e, em cada grandeza, o que ele diz e o que se previa."""
    about = ["vLLM " + log.version] * bool(log.version) + [log.model] * bool(log.model)
    about.append("início %d de %d" % (log.start, log.starts))
    about += [plural(log.max_model_len or 0, "token")] * bool(log.max_model_len)
    parts = []
    for row in log_figures(q, layout, log)[:-1]:
        label, unit = LOG_FIGURES[row["name"]]
        said, predicted = row["logged"], row["predicted"]
        parts.append("%s %s (%s)" % (
            label, "sem linha no log" if said is None else number_text(said, 7) + unit,
            "sem previsão" if predicted is None else "previsto " + number_text(predicted, 4)))
    return "%s: %s" % (", ".join(about), "; ".join(parts))


def pools_rows(r: SizingResult) -> Iterator[tuple[str, str]]:
    """Os dois lotes, e o que se compraria do outro modo; nada, se não se perguntou."""
    block, unit = pools_of_result(r), ANSWERS[r.asks]
    if block is None:
        return
    for name, label in (("prefill", "Prefill"), ("decode", "Decode")) if block["taken"] else ():
        pool = block[name]
        text = "%d → com pico %d → %s, %s" % (
            pool["nodes_minimum"], pool["nodes_with_headroom"],
            plural(pool["nodes_final"], "nó"), pool["layout"])
        if name == "prefill":
            text += "; %s prompts/s × %s / %d = %.0f%% do tempo; sozinho, %s + envio %s" % (
                number_text(pool["prompts_per_second"]), seconds_text(pool["service_seconds"]),
                pool["replicas"], 100 * pool["utilization"],
                *map(seconds_text, (pool["alone_seconds"], block["transfer_seconds"])))
        yield label, text
    answer, refused = block["other_answer"], str(block["other_refused"])
    text = "%s: %s" % ("não cabe" if block["taken"] else "não cabem",
                       refused.replace("nada cabe: ", "", 1))
    if answer is not None:
        text = plural(answer, *unit)
        if r.asks in ("nodes", "sessions") and answer != r.answer:
            text += ", %d a %s" % (abs(answer - r.answer),
                                   "mais" if answer > r.answer else "menos")
    yield "Um só lote" if block["taken"] else "Dois lotes", text


def limit_lines(r: SizingResult, servers: Sequence[Server]) -> list[str]:
    """As linhas de `limit_rows`, com a barra da HBM."""
    lines = []
    for label, text in limit_rows(r, servers):
        lines += labelled(label, text) + ([hbm_bar(r)] if label == HBM_LABEL else [])
    return lines


def upper_kv_bytes(q: Question) -> int:
    """KV de uma sessão num motor sem janelas."""
    return sum(replace(group, cap_tokens=None).session_bytes(q.effective_context, q.element_bytes)
               for group in q.model.kv_groups)


def session_kv_text(r: SizingResult) -> str:
    text, common = size_text(kv_per_session_bytes(r.question)), shared_prefix_bytes(r.question)
    if r.question.context_mix:
        text = "%s em média, %s na mais longa" % (
            size_text(mean_bytes(own_kv_sizes(r.question)) + common), text)
    else:
        text += " por sessão"
    text += " (comuns: %s)" % size_text(common) if common else ""
    return "%s, %s ao todo; orçamento %s/nó" % (
        text, size_text(results_of(r)["kv_total_bytes"]), size_text(kv_budget_bytes(r.question)))


def nodes_text(r: SizingResult) -> str:
    q, ha = r.question, r.question.ha_mode.upper()
    peak = "com pico %d" % r.nodes_with_headroom
    if r.asks == "nodes":
        bought = "com %s %d" % (ha, r.nodes_final) if q.ha_spares else "sem HA"
        return "capacidade pura %d → %s → %s" % (
            r.nodes_minimum, peak, bought.replace(" ", GLUE))
    if r.asks == "load":
        return "%s; o mínimo é %d" % (plural(r.nodes_final, "dado", "dados"), r.nodes_minimum)
    return "%s: pico de %s %s" % (
        plural(r.nodes_final, "disponível", "disponíveis"), percent_text(q.peak_headroom_ratio),
        "e %s à parte" % ha if q.ha_spares else "à parte, sem HA")


def cost_text(r: SizingResult) -> str:
    costs, years, lacking = r.costs, r.question.years, []
    if costs["energy"] is None:
        lacking.append("sem a energia")
    if costs["purchase"] is None:
        lacking.append("sem a compra")
    shown = {"purchase": "compra %s", "energy": "energia %s",  # o total, a manchete diz
             "per_session_month": "%s por sessão e mês",
             "per_million_output_tokens": "%s por milhão de tokens"}
    parts = [text % money_text(costs[name]) for name, text in shown.items()
             if costs[name] is not None]
    q = r.question
    given = {"nó a %s": q.node_price, "kWh a %s": q.energy_price,
             "PUE %s": q.pue if q.energy_price else None}
    terms = [text % given_text(value) for text, value in given.items() if value is not None]
    if years is not None:
        terms.insert(0, "%s ano%s" % (given_text(years), "" if years == 1 else "s"))
    return "%s (%s)" % ("; ".join(parts + lacking), ", ".join(terms))


def logged_texts(layout: Layout) -> list[str]:
    """A concorrência que o log do motor diz, onde não é a que ele mantém."""
    if layout.sessions_logged >= layout.sessions_held:
        return []
    engines = layout.replicas_per_unit * layout.data_parallel
    return ["log %sx%s" % (number_text(float(layout.sessions_logged), 3),
                           " por motor" if engines > 1 else "")]


def limit_text(r: SizingResult) -> str:
    """O que limita as sessões de uma unidade, com o plano e o teto ao lado."""
    offer = r.offer
    text = "%d, limite: %s" % (offer.sessions_per_unit, limited_text(r))
    others = ["plano %d" % offer.plan_sessions] * (offer.limited_by != "plan")
    if offer.layout:
        ceiling = "motor ~%d" % offer.layout.ceiling_sessions
        others += [ceiling] * (offer.limited_by != "engine_memory") + logged_texts(offer.layout)
    return text + (" (%s)" % "; ".join(others) if others else "")


def limited_text(r: SizingResult) -> str:
    q, offer = r.question, r.offer
    unmeasured = q.confidence == EVEN and offer.speed and offer.speed.confident
    edge = " na ponta ruim, por não haver medidas" if unmeasured else ""
    if offer.limited_by == "tpot":
        rate = q.min_tokens_per_second
        if rate and q.tpot_limit_ms != q.max_tpot_ms:
            return "%s tokens/s" % given_text(rate) + edge
        return "TPOT de %s ms" % given_text(q.max_tpot_ms or 0) + edge
    if offer.limited_by == "plan":
        return "plano, %s da HBM - %s GiB" % (
            percent_text(q.kv_budget_ratio), given_text(q.runtime_overhead_gib))
    if offer.limited_by == "max_num_seqs" and offer.layout:
        return "max_num_seqs %d" % offer.layout.max_num_seqs
    text = LIMITS[offer.limited_by]
    if offer.limited_by in FIRST_TOKENS:
        text += " de %s ms" % given_text(q.time_limits_ms[offer.limited_by]) + edge
    return text


def failure_label(r: SizingResult) -> str:
    failed = r.ha_plan["failed_nodes"]
    if r.pools:  # em cada lote
        return "Se %d+%d caem" % (failed, failed)
    return "Se 1 cair" if failed == 1 else "Se %d caem" % failed


def refused_text(r: SizingResult) -> str:
    """As sessões que os nós que restam não levam."""
    plan, admitted = r.ha_plan, r.ha_plan["sessions_after_failure"]
    if r.question.requests_per_second is not None:
        if plan["covers_peak"]:
            return "pico coberto"
        return ("taxa nominal coberta, o pico não" if plan["covers_concurrency"]
                else "a taxa pede %d nós" % r.nodes_minimum)
    now, at_peak = (max(0, load - admitted) for load in (r.concurrency, r.peak_sessions))
    behind = ""
    if r.pools and not r.pools.plans(r.concurrency)[0]["covers_peak"]:
        behind = ", prefill além de %d%% no pico" % (100 * PREFILL_UTILIZATION)
    if now == at_peak:
        return plural(now, "recusada") + behind
    return "%s (%d no pico)%s" % (plural(now, "recusada"), at_peak, behind)


def failure_text(r: SizingResult) -> str:
    """As sessões interrompidas, as recusadas, o que resta e quanto demora a volta."""
    unit, left, lost = (r.offer.nodes_per_unit, r.ha_plan["nodes_after_failure"],
                        r.ha_plan["interrupted_sessions"])
    back = r.storage_plan["node_recovery_seconds"]
    returns = "; volta em ~%s" % seconds_text(back) if back else ""
    if not left:
        return "o serviço para: %s%s" % (plural(lost, "interrompida"), returns)
    nodes, whole = plural(left, "nó"), "de %d" % unit
    prefill_unit = r.pools.prefill.layout.nodes_per_unit if r.pools else unit
    if prefill_unit != unit:
        whole = "de %d no prefill e de %d no decode" % (prefill_unit, unit)
    if max(unit, prefill_unit) > 1:
        nodes = "%d de %d nós (sai a unidade inteira, %s)" % (left, r.nodes_final, whole)
    return "%s, %s; %s: %s%s" % (
        plural(lost, "interrompida"), refused_text(r), nodes,
        plural(r.ha_plan["sessions_after_failure"], "vaga"), returns)


def changes_text(r: SizingResult, servers: Sequence[Server]) -> str:
    """As escolhas que mudariam a resposta, as que cabem numa linha; todas em --explain."""
    text, unit = "", ANSWERS[r.asks]
    for row in alternatives(r, servers):
        if row["answer"] == r.answer:
            continue
        answer = "nada cabe"
        if row["answer"] is not None:  # a unidade, só no primeiro número
            answer = str(row["answer"]) if re.search(": [0-9]", text) else plural(
                row["answer"], *unit)
        more = "%s%s: %s" % (" · " if text else "", row["change"], answer)
        if len(text) + len(more) <= WIDTH - LABEL:
            text += more
    return text


def hbm_parts(r: SizingResult) -> dict[str, Exact]:
    """Como se divide a HBM visível de um nó, em GiB; o primeiro caractere é o da barra."""
    offer, layout, server = r.offer, r.offer.layout, r.question.server
    assert layout
    visible = Fraction(server.hbm_usable_gib_per_gpu or 0) * GIB
    node_sessions = Fraction(offer.sessions_per_unit, offer.nodes_per_unit)
    own = (mean_bytes(layout.held_sizes) * layout.tensor_parallel
           * layout.pipeline_parallel * node_sessions)
    held = (own / server.gpus + layout.shared_blocks) * layout.blocks.block_bytes
    each: dict[str, Exact] = {
        "▓ pesos": layout.weights_bytes, "▒ motor": layout.runtime_bytes, "█ KV": held,
        "░ livre": layout.kv_capacity_bytes - held, ". fora": visible - layout.usable_bytes}
    return {label: part * Fraction(server.gpus, GIB) for label, part in each.items()}


def hbm_bar(r: SizingResult) -> str:
    parts, bar, seen = hbm_parts(r), "", Fraction(0)
    whole = sum(parts.values())
    for label, part in parts.items():
        seen += part
        bar += label[0] * (round(seen * (WIDTH - 2) / whole) - len(bar))
    return "[%s]" % bar


def certainty_text(r: SizingResult) -> str:
    """Quanto confiar nos tempos; vazio se não há."""
    outside = extrapolations(r)
    text = "Previsão; fora do medido: %s. " % ", ".join(outside) if outside else (
        "Previsão, não medição. ")
    return text if r.performance else ""


def where_next(r: SizingResult) -> str:
    return certainty_text(r) + "Contas: --explain"


def explanation_text(r: SizingResult, explanation: Json) -> str:
    """`--explain` em 80 colunas: a página, as contas, os leiautes, os avisos, o que mudaria."""
    lines = [*plain_page(r, explanation["plain"]), "", "As contas, uma a uma:"]
    for row in explanation["figures"]:
        lines += figure_lines(row)
    lines += ["", "O que mais entra nas fórmulas:"]
    for row in explanation["quantities"]:
        lines += folded("%(name)s = " % row + exact_text(row["value"]) + ": " + row["label"], 4)
    if explanation["layouts"]:
        lines += ["", "Leiautes: vence o que compra menos nós; no empate, o de velocidade medida, "
                  "o de", "mais sessões, o de maior teto e o de menor tp."]
        lines += markdown_table(["leiaute", "teto", "sessões", "limite", "nós"], list(zip(*(
            (row["layout"], str(row["ceiling_sessions"]), str(row["sessions"]),
             LIMITS[row["limited_by"]], cell_text("nodes", row["nodes"]))
            for row in explanation["layouts"]))), "lrrlr")
    warnings = warnings_of(r)
    lines += ["", *folded(recovery_text(r), 2), "", "Avisos:" if warnings else "Nenhum aviso."]
    for warning in warnings:
        lines += folded("! " + warning, 2)
    lines += ["", "O que mudaria a resposta, uma escolha por vez:"]
    for row in explanation["alternatives"]:
        answer = "nada cabe" if row["answer"] is None else plural(row["answer"], *ANSWERS[r.asks])
        lines += folded("%s: %s" % (row["change"], answer), 2)
    return "\n".join([*lines, "", "Para pôr no ar (%s):" % ENGINE, *explanation["launch"], ""])


def plain_page(r: SizingResult, paragraphs: Sequence[str]) -> list[str]:
    """A decisão e os parágrafos que a explicam."""
    texts = [HEADLINES[r.asks](r), *paragraphs]
    return list(chain.from_iterable(folded(text, 2) for text in texts))


def figure_text(row: Json) -> str:
    """O valor de um número da explicação, com a unidade."""
    value, unit = row["value"], row["unit"]
    text = number_text(value, 9) if isinstance(value, float) else str(value)
    if value == 1:
        unit = {"nós": "nó", "sessões": "sessão", "tokens": "token"}.get(unit, unit)
    return "%s %s%s" % (text, unit, " (%s)" % size_text(value) if unit == "B" else "")


def figure_lines(row: Json) -> list[str]:
    """Um número da explicação: o valor, a fórmula, a conta e a fonte."""
    lines = ["", *folded("%s: %s" % (row["label"], figure_text(row)), 2)]
    source = "fonte: " if row["formula"] else row["name"] + ", fonte: "
    for key, lead in (("formula", row["name"] + " = "), ("numbers", "= "), ("source", source)):
        if row[key]:
            lines += folded("  " + lead + row[key], 4)
    return lines


def recovery_text(r: SizingResult) -> str:
    """O que acontece de uma falha até o nó voltar."""
    ha, plan = r.ha_plan, {
        name: seconds_text(value) if name.endswith("_seconds") and value else value
        for name, value in r.storage_plan.items()}
    lost = ha["interrupted_sessions"]
    text = "%s: %s. Cada nó que cai interrompe %s, que perde%s o KV" % (
        failure_label(r), failure_text(r), sessions_text(lost), "" if lost == 1 else "m")
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


def entry_json(entry: Any) -> Json:
    """Uma entrada de catálogo, com o que dela se calcula."""
    document = numbers(fields_of(entry))
    if not entry.overrides:
        del document["overrides"]
    if isinstance(entry, Model):
        document["kv_groups"] = [numbers(fields_of(group)) for group in entry.kv_groups]
        if entry.weights_dense_bytes:
            document["weights_gib"] = gib(
                entry.weights_dense_bytes + (entry.weights_expert_bytes or 0))
    if isinstance(entry, Server):
        document["total_hbm_gib"] = gib(entry.total_hbm_gb * GB)
    return document


def catalogue_json(q: Question) -> Json:
    return {"model": entry_json(q.model), "server": entry_json(q.server),
            "storage": entry_json(q.storage)}


def parameters_json(q: Question, concurrency: int, tpot_scale: float = 1.0) -> Json:
    """`requested_context` é 0 quando o contexto é o que se pergunta."""
    return {
        "requested_context": q.requested_context or q.effective_context,
        "context_source": q.context_source, "disaggregated": q.disaggregated,
        "context_mix": [[tokens, float(share)] for tokens, share in q.context_mix] or None,
        "kv_precision": q.kv_precision,
        "runtime_overhead_gib": json_number(q.runtime_overhead_gib), "concurrency": concurrency,
        "kv_budget_ratio": json_number(q.kv_budget_ratio),
        "peak_headroom_ratio": json_number(q.peak_headroom_ratio), "ha_mode": q.ha_mode,
        "gpu_memory_utilization": json_number(q.gpu_memory_utilization),
        "tensor_parallel": q.tensor_parallel, "pipeline_parallel": q.pipeline_parallel,
        "max_num_seqs": q.requested_max_num_seqs,
        "max_num_batched_tokens": q.max_num_batched_tokens,
        "speculative_tokens": q.speculative_tokens,
        "acceptance_length": json_number(q.acceptance_length),
        "weights_precision": q.weights_precision, "weights_source": weights_source(q),
        "input_tokens": q.input_tokens, "cached_tokens": q.requested_cached_tokens,
        "output_tokens": q.output_tokens, "shared_prefix_tokens": q.shared_prefix_tokens,
        "max_tpot_ms": q.max_tpot_ms, "min_tokens_per_second": q.min_tokens_per_second,
        "max_ttft_ms": q.max_ttft_ms, "max_ttft_p95_ms": q.max_ttft_p95_ms,
        "confidence": json_number(q.confidence),
        "requests_per_second": json_number(q.requests_per_second), "nodes": q.nodes,
        "calibration": q.calibration, "tpot_scale": tpot_scale,
        "engine_log": q.engine_log.file if q.engine_log else None, "pue": json_number(q.pue),
        "node_price": json_number(q.node_price), "energy_price": json_number(q.energy_price),
        "years": json_number(q.years), "effective_context": q.effective_context}


def answer_json(r: SizingResult) -> Json:
    """O resultado sem as entradas dos catálogos nem o motor: bytes inteiros, GiB arredondados."""
    results = results_of(r)
    if r.asks == "sessions":
        results["by_context"] = by_context(r.question)
    document: Json = {
        "schema_version": 1, "question": r.asks,
        "parameters": dict(parameters_json(r.question, r.concurrency, r.offer.tpot_scale),
                           context_source=context_source(r)),
        "results": results, "performance": performance_json(r), "objectives": objectives_of(r),
        "storage_plan": r.storage_plan,
        "ha_plan": r.ha_plan, "physical": numbers(r.physical)}
    if r.costs:
        document["costs"] = numbers(r.costs)
    pools = pools_of_result(r)
    if pools:
        document["disaggregated"] = pools
        document["parameters"]["disaggregated"] = r.asked.disaggregated
    document["warnings"] = warnings_of(r)
    return document


def context_source(r: SizingResult) -> str:
    """De onde veio o contexto; `answer` quando ele é a resposta."""
    return "answer" if r.asks == "context" else r.question.context_source


def refused_json(q: Question, error: SizingError) -> Json:
    return {"schema_version": 1, "question": q.asks,
            "parameters": dict(parameters_json(q, q.concurrency or 0), requested_context=(
                0 if q.asks == "context" else q.requested_context or q.effective_context)),
            "results": None,
            "error": str(error)}


def json_document(r: SizingResult) -> Json:
    """O resultado como documento JSON (schema_version 1)."""
    document = answer_json(r)
    # As chaves na ordem da leitura: o que foi perguntado, a resposta, o motor, o resto.
    return {"schema_version": 1, "question": r.asks, **catalogue_json(r.question),
            "parameters": document["parameters"], "results": document["results"],
            **engine_json(r), **document}


def performance_json(r: SizingResult) -> Json | None:
    """A previsão da carga dos objetivos com todos os nós, e as de todas as cargas em `cases`."""
    offer = r.offer
    if not r.performance or not offer.speed:
        return None
    fullest = offer.full_replica_sessions  # um nó sempre cheio
    saturated = (offer.speed.saturated_tokens_per_second(fullest) * offer.sessions_per_unit
                 / fullest / offer.nodes_per_unit)
    return dict(r.performance[0], interval_ratio=0.8, extrapolated=extrapolations(r),
                saturated_output_tokens_per_second_per_node=None if r.pools else rounded(saturated),
                nodes_other_end=nodes_other_end(r), cases=r.performance, **speculation_json(r))


def speculation_json(r: SizingResult) -> Json:
    """Até onde especular compensa, e o TPOT da mesma carga sem rascunhar; nada, sem especulação."""
    plain = r.offer.plain_speed
    if not plain or not r.nominal:
        return {}
    return {"plain_tpot_ms": rounded(plain.tpot_ms(r.nominal["sessions_per_replica"])),
            "speculation_pays_until": r.offer.speculation_pays_until}


def engine_json(r: SizingResult) -> Json:
    """O leiaute em uso, o que ele ocupa por GPU e o que os outros admitiriam."""
    q, layout = r.question, r.offer.layout
    if not layout:
        return {}
    tokens = layout.sessions_logged * layout.data_parallel * q.effective_context // 1
    blocks = layout.blocks
    return {"engine": {
        "engine": ENGINE, "source": "log" if q.engine_log else "prediction",
        "layout": str(layout), "tensor_parallel": layout.tensor_parallel,
        "pipeline_parallel": layout.pipeline_parallel, "data_parallel": layout.data_parallel,
        "sessions_per_replica": layout.sessions_per_replica,
        "sessions_held": layout.sessions_held,
        "sessions_logged": rounded(layout.sessions_logged),
        "max_num_seqs": layout.max_num_seqs, "max_num_batched_tokens": q.max_num_batched_tokens,
        "block_tokens": blocks.block_tokens, "block_bytes": blocks.block_bytes,
        "kv_blocks": layout.kv_blocks, "reserved_blocks_per_session": layout.reserved_blocks,
        "reserved_bytes_per_session": layout.reserved_blocks * blocks.block_bytes,
        "kv_groups": [{"kind": item.group.kind, "layers": item.layers,
                       "padding_layers": item.padding_layers, "block_tokens": item.block_tokens}
                      for item in blocks.groups],
        "kv_groups_padding_layers": sum(item.padding_layers for item in blocks.groups),
        "replicas_per_node": layout.replicas_per_unit // layout.nodes_per_unit,
        "nodes_per_replica": layout.nodes_per_unit,
        "gpu_memory_utilization": json_number(q.gpu_memory_utilization),
        "hbm_usable_gib_per_gpu": json_number(q.server.hbm_usable_gib_per_gpu),
        "weights_gib_per_gpu": gib(layout.weights_bytes),
        "runtime_gib_per_gpu": gib(layout.runtime_bytes),
        "kv_capacity_gib_per_gpu": gib(layout.kv_capacity_bytes),
        "runtime_parts_gib_per_gpu": {
            "activation": gib(layout.activation_bytes), "non_torch": gib(layout.non_torch_bytes),
            "cuda_graphs": gib(layout.cuda_graphs_bytes)},
        "kv_capacity_tokens_per_replica": tokens,
        "kv_per_session_bytes_per_gpu": layout.session_bytes_per_gpu,
        "kv_per_session_upper_bytes": upper_kv_bytes(q),
        "sessions_per_node": layout.ceiling_sessions // layout.nodes_per_unit,
        "layouts": [{"sessions_per_unit": item.ceiling_sessions,
                     "nodes_per_unit": item.nodes_per_unit, "layout": str(item),
                     "kv_capacity_gib_per_gpu": gib(item.kv_capacity_bytes)}
                    for item in (offer.layout for offer in r.offers) if item]},
        **({"engine_log": engine_log_json(q, layout, q.engine_log)} if q.engine_log else {})}


def engine_log_json(q: Question, layout: Layout, log: EngineLog) -> Json:
    """O que o log diz ao lado do previsto."""
    said = {name: getattr(log, name) or None
            for name in ("model", "version", "start", "starts", "max_model_len")}
    return dict(said, figures=log_figures(q, layout, log))


def markdown_table(titles: Sequence[str], columns: Sequence[Sequence[str]], sides: str
                   ) -> Iterator[str]:
    """As linhas de uma tabela alinhada, que se lê no terminal; `sides` é l ou r por coluna."""
    widths = [max(3, len(title), max(map(len, cells))) for title, cells in zip(titles, columns)]
    layout = "| %s |" % " | ".join("%%%s%ds" % ("-" if side == "l" else "", width)
                                   for side, width in zip(sides, widths))
    rulers = ["-" * (width + 1) for width in widths]
    yield layout % tuple(titles)
    yield "|%s|" % "|".join(":" + rule if side == "l" else rule + ":"
                            for rule, side in zip(rulers, sides))
    for cells in zip(*columns):
        yield layout % cells


# ── Apêndice: comparações: Row, comparison_text, json_lines e csv_lines, uma linha por vez


@dataclass(frozen=True, eq=False)
class Row:
    """Uma linha de comparação: a pergunta, a resposta ou a recusa, e o cenário, se há."""

    question: Question
    outcome: SizingResult | SizingError
    scenario: str = ""


RECOMMENDED = "recomendado"  # o cenário de quem não diz qual


def context_text(q: Question) -> str:
    requested = q.requested_context or 0
    if requested > q.effective_context:
        return "%d (de %d)" % (q.effective_context, requested)
    return str(q.effective_context)


def tpot_of(r: SizingResult) -> dict[str, float]:
    """O TPOT de `r.nominal`, o que uma tabela mostra da velocidade."""
    assert r.offer.speed
    fullest = ceil_div(r.concurrency, r.units * r.offer.replicas_per_unit)
    return interval(r.offer.speed.tpot_ms(fullest), *r.offer.speed.tpot_range)


def ttft_of(r: SizingResult, name: str = "ttft_ms") -> dict[str, float] | None:
    """Da carga nominal; None se não se prevê, ou se a fila não se prevê."""
    return (r.nominal or {}).get(name)


def cold_start_of(r: SizingResult) -> float | None:
    return load_seconds(r.question, r.nodes_final)


# O que as linhas de uma comparação podem variar: flag → (título, como se lê da pergunta).
VARIED: dict[str, tuple[str, Callable[[Question], str]]] = {
    "--model": ("modelo", lambda q: q.model.name),
    "--server": ("servidor", lambda q: q.server.name),
    "--weights-precision": ("pesos", lambda q: q.weights_precision),
    "--tensor-parallel": ("tp", lambda q: str(q.tensor_parallel or "auto")),
    "--concurrency": ("sessões", lambda q: str(q.concurrency or 0)),
    "--effective-context": ("contexto", context_text),
    "--kv-precision": ("KV", lambda q: q.kv_precision),
    "--ha": ("HA", lambda q: q.ha_mode),
    "--storage": ("storage", lambda q: q.storage.name)}
# Como se diz fora da tabela o que está nestas colunas.
NAMED = {"pesos": "pesos %s", "tp": "tp %s", "KV": "KV %s", "HA": "HA %s",
         "sessões": "%s sessões", "contexto": "%s tokens"}
ANSWER_COLUMNS = {"nodes": "nós", "sessions": "mantém", "context": "até tokens", "load": "vagas"}
# Ordem das linhas → (o que é ser a melhor, a coluna da tabela, o que se compara; None: no fim).
SORTS: dict[str, tuple[str, str, Callable[[SizingResult], Any]]] = {
    "nodes": ("menos nós", "nós", lambda r: r.nodes_final),
    "sessions_per_node": ("mais sessões por nó", "sessões/nó",
                          lambda r: -results_of(r)["sessions_per_node"]),
    "tpot_ms": ("menor TPOT", "TPOT ms", lambda r: r.offer.speed and tpot_of(r)["estimate"]),
    "ttft_ms": ("menor TTFT", "TTFT ms", lambda r: (ttft_of(r) or {}).get("estimate")),
    "power_kw": ("menos kW", "kW", lambda r: r.physical["power_kw"]),
    "rack_units": ("menos U", "U", lambda r: r.physical["rack_units"]),
    "total": ("menor custo", "custo", lambda r: r.costs.get("total")),
    "cold_start_seconds": ("carga mais rápida", "carga", cold_start_of)}
Position = Tuple[Any, ...]
REFUSED: Position = (inf, inf, inf)  # depois de toda posição de `rank`, que diz os nós
TIES = ("nodes", "power_kw", "tpot_ms", "cold_start_seconds")


def rank(outcome: SizingResult | SizingError, sort: str, unsorted: str = "power_kw") -> Position:
    """A posição de uma linha: a ordem pedida, ou a da pergunta; no empate, nós, kW, TPOT e carga.

    Sem preços, servidores diferentes se comparam pela potência, que acompanha o preço e o espaço:
    um nó pode ser uma máquina de mesa ou um rack de 72 GPUs.
    """
    if isinstance(outcome, SizingError):
        return REFUSED
    keys: list[Any] = [0 if sort or outcome.offer.speed else None]
    if sort or outcome.asks == "nodes":
        keys.append(SORTS[sort or unsorted][2](outcome))
    else:
        keys.append(-outcome.answer)
    keys += [SORTS[name][2](outcome) for name in TIES]
    return tuple([inf if key is None else key for key in keys])


@dataclass(frozen=True, eq=False)
class Column:
    """Uma coluna da tabela: o título, o lado, a célula e as flags ou a ordem que a pedem."""

    title: str
    side: str  # l ou r
    cell: Callable[[SizingResult], str]
    asked_by: str = ""  # vazio: sempre aparece


def unit_sessions_text(r: SizingResult) -> str:
    nodes = r.offer.nodes_per_unit
    return "%d%s" % (r.offer.sessions_per_unit, " em %d" % nodes if nodes > 1 else "")


def ttft_text(r: SizingResult, name: str = "ttft_ms") -> str:
    ttft_ms = ttft_of(r, name)
    if ttft_ms:
        return range_text(ttft_ms)
    return "fila" if r.nominal else "-"


def rate_text(r: SizingResult) -> str:
    """De cada sessão."""
    figure = GOALS["tokens_per_second"][0](r.nominal) if r.nominal else None
    return range_text(figure) if figure else "-"


def worst_verdict(r: SizingResult) -> str:
    """O pior veredito das metas nos estados que a compra promete; vazio sem metas."""
    promised = promised_states(r.question)
    given = {item["verdict"] for item in objectives_of(r) if item["state"] in promised}
    return next((verdict for verdict in reversed(list(VERDICTS)) if verdict in given), "")


def verdict_text(r: SizingResult) -> str:
    return VERDICTS.get(worst_verdict(r), "-")


def load_time_text(r: SizingResult) -> str:
    seconds = cold_start_of(r)
    return "-" if seconds is None else seconds_text(seconds)


def survived_text(r: SizingResult) -> str:
    """Quantas quedas o pico e a carga nominal suportam."""
    counts = [r.ha_plan["failures_covered_" + load] for load in ("peak", "nominal")]
    return "pico %s, nominal %s" % tuple(
        str(count) if count < 10**6 else ">999999" for count in counts)


OBJECTIVE_FLAGS = "--max-tpot-ms --min-tokens-per-second --max-ttft-ms --max-ttft-p95-ms"
COLUMNS = (
    Column("sessões/nó", "r", unit_sessions_text),
    Column("limite", "l", lambda r: LIMITS[r.offer.limited_by]),
    Column("TPOT ms", "r", lambda r: range_text(tpot_of(r)) if r.offer.speed else "-"),
    Column("tokens/s", "r", rate_text, "--min-tokens-per-second"),
    Column("TTFT ms", "r", ttft_text, "--max-ttft-ms ttft_ms"),
    Column("P95 ms", "r", lambda r: ttft_text(r, "ttft_p95_ms"), "--max-ttft-p95-ms"),
    Column("kW", "r", lambda r: cell_text("power_kw", r.physical["power_kw"])),
    Column("U", "r", lambda r: cell_text("rack_units", r.physical["rack_units"])),
    Column("carga", "r", load_time_text, "--storage cold_start_seconds"),
    Column("custo", "r", lambda r: money_text(r.costs["total"]) if r.costs else "-",
           "--node-price --energy-price"),
    Column("metas", "l", verdict_text, OBJECTIVE_FLAGS),
    Column("quedas cobertas", "r", survived_text, "--scenarios"))
# As que saem de uma tabela larga demais, da primeira à última; todas menos `UNLISTED` em --csv.
DROPPED = ("U", "kW", "limite", "sessões/nó", "TPOT ms", "tokens/s", "TTFT ms", "P95 ms",
           "carga", "custo")
UNLISTED = "P95 ms"


# O que uma linha muda na primeira pergunta da comparação.
COMPARED = ("model", "server", "requested_weights_precision", "tensor_parallel",
            "requested_context", "kv_precision", "concurrency", "ha_mode", "storage", "node_price",
            "energy_price", "years", "peak_headroom_ratio", "kv_budget_ratio")


class TableRow(NamedTuple):
    """O que a tabela guarda de uma linha: pouco, pois todas ficam na memória."""

    varied: tuple[str, ...]  # o que a linha tem em cada flag de `VARIED`
    server: Server
    scenario: str
    cells: tuple[str, ...]
    reason: str  # de uma recusa
    position: Position
    load: tuple[Any, ...]  # as linhas da mesma carga e do mesmo modelo se comparam
    asked: tuple[Any, ...]  # os campos de `COMPARED`, se a confiança pode mudar a resposta
    note: str  # o que se supõe na velocidade


def varied_of(q: Question) -> tuple[str, ...]:
    return tuple([shown(q) for _, shown in VARIED.values()])


def load_of(q: Question) -> tuple[Any, ...]:
    return (q.model, q.concurrency, q.requested_context, q.ha_mode)


def table_row(row: Row, columns: Sequence[Column], sort: str, unsorted: str,
              texts: dict[str, str]) -> TableRow:
    """`texts` guarda um só de cada texto, que muitas linhas repetem."""
    q, outcome, reason, asked = row.question, row.outcome, "", ()
    if isinstance(outcome, SizingError):
        limit, reason = "recusado", str(outcome)
        if outcome.status == 3:
            limit, reason = "não cabe", outcome.expected
        cells = [limit if column.title == "limite" else "-" for column in columns]
    else:
        cells = [column.cell(outcome) for column in columns]
        if q.timed and q.confidence == EVEN:
            asked = tuple([getattr(q, name) for name in COMPARED])
    return TableRow(
        varied=tuple([texts.setdefault(text, text) for text in varied_of(q)]), server=q.server,
        scenario=row.scenario, cells=tuple([texts.setdefault(text, text) for text in cells]),
        reason=texts.setdefault(reason, reason), position=rank(outcome, sort, unsorted),
        load=load_of(q), asked=asked, note=texts.setdefault(*[speed_note(outcome)] * 2))


def table_columns(q: Question, asked: Sequence[str]) -> list[Column]:
    """A resposta e as colunas que aparecem sempre ou que `asked`, flags e ordem, pede."""
    return [Column(ANSWER_COLUMNS[q.asks], "r", lambda r: str(r.answer)), *(
        column for column in COLUMNS
        if not column.asked_by or set(column.asked_by.split()) & set(asked))]


def choices_of(rows: Sequence[TableRow]) -> list[list[int]]:
    """Os índices das linhas entre as quais se escolhe: as da mesma carga e do mesmo modelo.

    Um modelo não é uma escolha entre iguais: com outro, a pergunta é outra.
    """
    loads: dict[Any, list[int]] = {}
    for index, row in enumerate(rows):
        loads.setdefault(row.load, []).append(index)
    return [choices for choices in loads.values() if len(choices) > 1]


def best_rows(rows: Sequence[TableRow]) -> set[int]:
    """Os índices das melhores linhas: uma por carga e modelo com escolha."""
    best = {min(choices, key=lambda index: rows[index].position) for choices in choices_of(rows)}
    return {index for index in best if rows[index].position != REFUSED}


def confident_choices(first: Question, rows: Sequence[TableRow], best: set[int], sort: str,
                      unsorted: str) -> dict[int, int | None]:
    """Melhor linha → a que seria com 90% de confiança, se outra; None se nada mais cabe.

    Mais confiança nunca melhora uma linha no que se compara, salvo na velocidade: só concorrem as
    que hoje já estão à frente do que a melhor passaria a ser.
    """
    def confident(index: int) -> Position:
        if not rows[index].asked:
            return REFUSED
        r = attempt(replace(first, confidence=CONFIDENT,
                            **dict(zip(COMPARED, rows[index].asked))))
        return rank(r, sort, unsorted)[:2] if r else REFUSED

    changed: dict[int, int | None] = {}
    for choices in choices_of(rows) if sort not in ("tpot_ms", "ttft_ms") else ():
        old = next((index for index in choices if index in best), None)
        if old is None or not rows[old].asked:
            continue
        position, new = confident(old), old
        for rival in choices:
            if rows[rival].position[:2] < position:
                position, new = min((position, new), (confident(rival), rival))
        if position == REFUSED or new != old:
            changed[old] = None if position == REFUSED else new
    return changed


def confidence_note(choices: Mapping[int, int | None], about: Sequence[Written]) -> str:
    """Onde a melhor linha mudaria com 90% de confiança."""
    better = [row_name(about, new) for new in choices.values() if new is not None]
    lost = [row_name(about, old) for old, new in choices.items() if new is None]
    parts = ["a melhor seria " + " ou ".join(better)] * bool(better)
    parts += ["nada cabe na carga de " + " ou ".join(lost)] * bool(lost)
    return "com --confidence 90% " + ", e ".join(parts)


def server_labels(rows: Sequence[TableRow]) -> dict[str, str]:
    """Nome no catálogo → o produto, se só um servidor da comparação o é; senão, o nome."""
    servers = {row.server.name: row.server for row in rows}
    products = [server.product or "" for server in servers.values()]
    return {name: server.product if server.product and products.count(server.product) == 1
            and server.product not in servers and "|" not in server.product else name
            for name, server in servers.items()}


def stated_request(q: Question) -> str:
    """O que se disse do pedido."""
    counts = {"%d comuns": q.shared_prefix_tokens, "%d em cache": q.requested_cached_tokens,
              "%d novos": q.input_tokens, "%d gerados": q.requested_output_tokens}
    return " + ".join(text % count for text, count in counts.items() if count)


def stated_goals(q: Question) -> str:
    texts = [GOALS[name][2] % number_text(limit / GOALS[name][3], 9)
             for name, limit in stated_limits(q).items()]
    # Por extenso: em ASCII, os sinais ocupam duas colunas.
    texts = [text.replace("≤", "até").replace("≥", "ao menos") for text in texts]
    if q.confidence != EVEN:
        texts.append("confiança de " + percent_text(q.confidence))
    return ", ".join(texts)


def common_text(q: Question, server: str, varied: Sequence[str], asked: Sequence[str]) -> str:
    """O que todas as linhas de uma comparação têm em comum."""
    common = {"--model": q.model.name, "--server": server,
              "--weights-precision": "pesos " + q.weights_precision}
    if q.tensor_parallel:
        common["--tensor-parallel"] = "tp %d" % q.tensor_parallel
    if q.pipeline_parallel:
        common["--pipeline-parallel"] = "pp %d" % q.pipeline_parallel
    if q.concurrency:
        common["--concurrency"] = sessions_text(q.concurrency)
    if q.context_mix:
        common["--effective-context"] = " + ".join("%s de %d" % (percent_text(share), tokens)
            for tokens, share in q.context_mix) + " tokens"
    elif q.context_source != "model":
        common["--effective-context"] = "%d tokens" % q.effective_context
    elif q.asks != "context":
        common["--effective-context"] = "contexto máximo de cada modelo"
        if "--model" not in varied:
            common["--effective-context"] = "%d tokens (o máximo do modelo)" % q.effective_context
    common.update(pedido=stated_request(q), metas=stated_goals(q))
    common["--kv-precision"] = "KV " + q.kv_precision
    if "--scenarios" not in asked:
        common["--ha"] = "HA " + q.ha_mode
        common["pico"] = "pico de " + percent_text(q.peak_headroom_ratio)
    if q.requests_per_second is not None:
        common["taxa"] = number_text(q.requests_per_second, 9) + " pedidos/s"
    if q.nodes is not None:
        common["nós"] = plural(q.nodes, "nó") + " por linha"
    if "--storage" in asked:
        common["--storage"] = q.storage.name
    if q.disaggregated != "no":
        common["lotes"] = "prefill e decode separados" + " se melhor" * (q.disaggregated == "auto")
    return ", ".join(text.replace(" ", GLUE) for flag, text in common.items()
                     if text and flag not in varied)


@dataclass(frozen=True, eq=False)
class Comparison:
    """O que uma comparação mostra, já escrito."""

    common: str  # o que todas as linhas têm em comum
    rows: list[TableRow]
    about: list[Written]  # o que distingue as linhas
    cells: list[Written]
    best: set[int]  # os índices das melhores
    needed: str  # o título da coluna em que são as melhores
    notes: list[str]


def comparison_of(rows: Iterable[Row], sort: str, asked: Sequence[str], unsorted: str
                  ) -> Comparison:
    """`asked` são as flags dadas, que pedem colunas; `unsorted`, o que faz a melhor sem `sort`."""
    rows = iter(rows)
    first = next(rows)
    scenario, policies, q = bool(first.scenario), {}, first.question
    columns, table = table_columns(q, [*asked, sort]), []
    texts: dict[str, str] = {}
    overrides: dict[str, None] = {}  # um conjunto na ordem das linhas
    for row in chain([first], rows):
        table.append(table_row(row, columns, sort, unsorted, texts))
        overrides.update(dict.fromkeys(override_texts(row.question)))
        if scenario:
            policies[row.scenario] = policy_text(row)
    if sort:
        table.sort(key=lambda row: row.position)
    best_is, column = "a maior resposta", ""
    if sort or q.asks == "nodes":
        best_is, column, _ = SORTS[sort or unsorted]
    best, about = best_rows(table), about_columns(q, table)
    notes = []
    if best:
        several = len({row.load[0] for row in table}) > 1
        notes.append("* a melhor de cada carga%s: %s" % (" e modelo" if several else "", best_is))
    changed = confident_choices(q, table, best, sort, unsorted)
    if changed:
        notes.append(confidence_note(changed, about))
    notes += [policies[row.scenario] for row in table if scenario]
    notes += [row.note for row in table if row.note][:1]
    notes += overrides
    if column == "custo":
        costs = [item.title for item in columns].index("custo")
        free = [row.server for row in table if not row.reason and row.cells[costs] == "-"]
        names = sorted({product_text(server) for server in free})
        notes += ["sem preço, fora da escolha: " + ", ".join(names)] if names else []
    if any(item.title == "metas" for item in columns):
        notes.append("metas: o pior veredito no que a compra promete, o pico, com a reserva fora")
    titles = [title for title, _, _ in about]
    varied = [flag for flag, (title, _) in VARIED.items() if title in titles]
    return Comparison(
        common=common_text(q, server_labels(table)[q.server.name], varied, asked), rows=table,
        about=about, best=best, needed=column, notes=notes,
        cells=[(item.title, item.side, [row.cells[index] for row in table])
               for index, item in enumerate(columns)])


def comparison_text(c: Comparison, asked: Sequence[str]) -> Iterator[str]:
    """A comparação como tabela Markdown; embaixo, por que não cabe o que não cabe."""
    blank = ""  # só antes de outra linha
    for line in chain(table_lines(c, asked), folded("; ".join(c.notes) + "." * bool(c.notes), 2)):
        if line:
            yield blank + line + "\n"
        blank = "" if line else blank + "\n"


def policy_text(row: Row) -> str:
    q = row.question
    return "%s: pico de %s, HA %s, %s da HBM para KV" % (
        row.scenario, percent_text(q.peak_headroom_ratio), q.ha_mode,
        percent_text(q.kv_budget_ratio))


def speed_note(outcome: SizingResult | SizingError) -> str:
    if isinstance(outcome, SizingError) or not outcome.offer.speed:
        return ""
    return "velocidade prevista e faixa de 80%%, %s, com todos os nós no ar" % (
        "prefixo em cache" if outcome.question.prompt_tokens > outcome.offer.input_tokens
        else "todo pedido com prompt novo")


# Uma coluna já escrita: (título, lado, as células).
Written = Tuple[str, str, Sequence[str]]


def about_columns(q: Question, rows: Sequence[TableRow]) -> list[Written]:
    """O que distingue as linhas: o cenário, ou aquilo em que as flags variam."""
    if rows[0].scenario:
        return [("cenário", "l", [row.scenario for row in rows])]
    columns = {flag: [row.varied[index] for row in rows] for index, flag in enumerate(VARIED)}
    labels = server_labels(rows)
    columns["--server"] = [labels[name] for name in columns["--server"]]
    if not q.requested_context:
        del columns["--effective-context"]
    numbers = ("--concurrency", "--effective-context")
    return [(VARIED[flag][0], "r" if flag in numbers else "l", values)
            for flag, values in columns.items() if len(set(values)) > 1]


def row_name(about: Sequence[Written], index: int) -> str:
    """Como se chama uma linha fora da tabela."""
    return ", ".join([NAMED.get(title, "%s") % cells[index] for title, _, cells in about])


def column_width(column: Written) -> int:
    """A largura que `markdown_table` dá a uma coluna, com o que a separa da anterior."""
    title, _, cells = column
    return 3 + max(3, len(title), *map(len, cells))


def narrowed(columns: Sequence[Written], order: Sequence[str]
             ) -> tuple[list[Written], list[str], bool]:
    """(as que ficam, os títulos das que saíram, se ainda passam de 80 colunas)."""
    widths = [column_width(column) for column in columns]
    titles = [title for title, _, _ in columns]
    kept, dropped, room = list(columns), [], WIDTH - 1 - sum(widths)
    for title in order:
        if room < 0 and title in titles:
            index = titles.index(title)
            room += widths[index]
            kept.remove(columns[index])
            dropped.append(title)
    return kept, dropped, room < 0


def dropped_text(dropped: Sequence[str]) -> str:
    """As colunas que não couberam e a saída que as tem."""
    places = {"--csv": [title for title in dropped if title != UNLISTED],
              "--json": [title for title in dropped if title == UNLISTED]}
    return "Não couberam: %s." % "; ".join("%s (em %s)" % (", ".join(titles), flag)
                                           for flag, titles in places.items() if titles)


def table_lines(c: Comparison, asked: Sequence[str]) -> Iterator[str]:
    """O que há de comum, a tabela só com o que varia e cabe, e as recusas.

    Do que não cabe sai primeiro o que varia com o modelo sem se pedir; por último, `needed`.
    """
    rows, about, cells = c.rows, c.about, c.cells
    star: Written = ("", "l", ["*" if index in c.best else "" for index in range(len(rows))])
    implied = [title for flag, (title, _) in VARIED.items() if flag not in (*asked, "--model")]
    order = [*implied, *sorted(DROPPED, key=lambda title: title == c.needed)]
    kept, dropped, numbered = narrowed([star, *about, *cells], order)
    if numbered:  # só o que varia já não cabe: vai para a lista
        numbers = [str(number) for number in range(1, len(rows) + 1)]
        kept, dropped, _ = narrowed([star, ("linha", "r", numbers), *cells], order)
    yield from (*folded(c.common), "")
    titles, sides, columns = zip(*kept)
    yield from markdown_table(titles, columns, "".join(sides))
    yield from folded(dropped_text(dropped), 2) if dropped else []
    yield ""
    for index, row in enumerate(rows):
        if numbered or row.reason:
            texts = [str(index + 1) * numbered, row_name(about, index), row.reason]
            yield from folded("- " + ": ".join(filter(None, texts)), 2)


def row_json(row: Row) -> Json:
    """A linha sem as entradas dos catálogos nem o motor."""
    scenario = {"scenario": row.scenario} if row.scenario else {}
    if isinstance(row.outcome, SizingError):
        return {**scenario, **refused_json(row.question, row.outcome)}
    return {**scenario, **answer_json(row.outcome)}


def json_lines(rows: Iterable[Row], sort: str, ascii_only: bool) -> Iterator[str]:
    """Uma lista JSON, um documento por linha."""
    encode = json.JSONEncoder(ensure_ascii=ascii_only).encode

    def documents() -> Iterator[tuple[Position, str]]:
        # O que se repete entre as linhas de um modelo num servidor se escreve uma vez.
        for _, block in groupby(rows, lambda row: (row.question.model, row.question.server)):
            entries: dict[Storage, str] = {}
            engines: dict[tuple[Offer, ...], str] = {}
            for row in block:
                r, engine, storage = row.outcome, "", row.question.storage
                if storage not in entries:
                    entries[storage] = encode(catalogue_json(row.question))[:-1] + ", "
                if not isinstance(r, SizingError) and r.offer.layout:
                    if r.offers not in engines:
                        engines[r.offers] = encode(engine_json(r))[1:-1] + ", "
                    engine = engines[r.offers]
                yield (rank(r, sort) if sort else (),
                       entries[storage] + engine + encode(row_json(row))[1:])

    start = "[\n"
    for document in in_order(documents(), sort):
        yield start + document
        start = ",\n"
    yield "\n]\n"


def in_order(lines: Iterable[tuple[Position, str]], sort: str) -> Iterator[str]:
    """As linhas na ordem pedida; enquanto não se conhece a ordem, ficam num arquivo temporário."""
    if not sort:
        yield from (line for _, line in lines)
        return
    import tempfile

    with tempfile.TemporaryFile() as spool:
        places = []
        for position, line in lines:
            data = line.encode("utf-8", "surrogatepass")
            places.append((position, spool.tell(), len(data)))
            spool.write(data)
        for _, start, size_bytes in sorted(places):
            spool.seek(start)
            yield spool.read(size_bytes).decode("utf-8", "surrogatepass")


BOM = "\ufeff"
# As colunas de --csv, na ordem; README as descreve.
CSV_COLUMNS = ("question", "nodes_final", "nodes_minimum", "nodes_with_headroom",
    "max_concurrency", "max_context", "sessions_per_node", "limited_by", "verdict", "tpot_ms",
    "tpot_ms_high", "ttft_ms", "ttft_ms_high", "output_tokens_per_second_per_session",
    "output_tokens_per_second_per_node", "nodes_after_failure", "covers_peak", "power_kw",
    "rack_units", "total", "per_million_output_tokens", "cold_start_seconds", "error", "scenario",
    "model", "server", "storage", "concurrency", "requests_per_second", "peak_sessions",
    "requested_context", "effective_context", "input_tokens", "output_tokens", "confidence",
    "kv_precision", "weights_precision", "ha_mode", "layout", "kv_per_session_bytes")


def csv_writer(columns: Sequence[str], excel: bool) -> Callable[[Json], str]:
    """A função que escreve uma linha: RFC 4180; em `excel`, como o Excel brasileiro a lê."""
    import csv
    import io

    stream, cell = io.StringIO(), excel_cell if excel else csv_cell
    writer = csv.DictWriter(stream, columns, restval="", delimiter=";" if excel else ",")

    def written(values: Json) -> str:
        stream.seek(0)
        stream.truncate()
        writer.writerow({name: cell(value) for name, value in values.items()})
        return stream.getvalue()

    return written


def csv_start(columns: Sequence[str], excel: bool) -> str:
    """O cabeçalho; no Excel, depois da marca que lhe diz que é UTF-8."""
    return BOM * excel + csv_writer(columns, excel)(dict(zip(columns, columns)))


def csv_lines(rows: Iterable[Row], sort: str, excel: bool = False) -> Iterator[str]:
    """Uma linha por resposta, com as colunas de `CSV_COLUMNS`."""
    written = csv_writer(CSV_COLUMNS, excel)
    yield csv_start(CSV_COLUMNS, excel)
    yield from in_order(((rank(row.outcome, sort) if sort else (), written(csv_values(row)))
                         for row in rows), sort)


def csv_values(row: Row) -> Json:
    """Os valores das colunas de uma linha, com os nomes do JSON; de uma recusa, só a pergunta."""
    q, outcome = row.question, row.outcome
    values = {
        "question": q.asks, "scenario": row.scenario, "model": q.model.name,
        "server": q.server.name, "storage": q.storage.name, "concurrency": q.concurrency,
        "requests_per_second": json_number(q.requests_per_second),
        "requested_context": q.requested_context or (
            None if q.asks == "context" else q.effective_context),
        "effective_context": q.effective_context, "input_tokens": q.ends[0],
        "output_tokens": q.output_tokens, "confidence": json_number(q.confidence),
        "kv_precision": q.kv_precision, "weights_precision": q.weights_precision,
        "ha_mode": q.ha_mode}
    if isinstance(outcome, SizingError):
        return dict(values, error=str(outcome))
    r = outcome
    values.update(
        concurrency=r.concurrency, peak_sessions=r.peak_sessions,
        effective_context=r.question.effective_context, input_tokens=r.offer.input_tokens,
        output_tokens=r.question.output_tokens, layout=layouts_text(r),
        kv_per_session_bytes=kv_per_session_bytes(r.question),
        nodes_final=r.nodes_final, nodes_minimum=r.nodes_minimum,
        nodes_with_headroom=r.nodes_with_headroom, limited_by=r.offer.limited_by,
        verdict=worst_verdict(r),
        sessions_per_node=r.offer.sessions_per_node,
        nodes_after_failure=r.ha_plan["nodes_after_failure"],
        covers_peak=r.ha_plan["covers_peak"],
        power_kw=json_number(r.physical["power_kw"]), rack_units=r.physical["rack_units"],
        cold_start_seconds=load_seconds(r.question, r.nodes_final), **csv_speed(r))
    if r.asks == "sessions":
        values["max_concurrency"] = r.concurrency
    if r.asks == "context":
        values["max_context"] = r.question.effective_context
    if r.costs:
        values.update(total=json_number(r.costs["total"]),
                      per_million_output_tokens=r.costs["per_million_output_tokens"])
    return values


def csv_speed(r: SizingResult) -> Json:
    """A velocidade da carga dos objetivos, com todos os nós."""
    if not r.nominal:
        return {}
    values = {name: r.nominal[name] for name in (
        "output_tokens_per_second_per_session", "output_tokens_per_second_per_node")}
    for name in ("tpot_ms", "ttft_ms"):
        figure = r.nominal[name]
        if figure:
            values.update({name: figure["estimate"], name + "_high": figure["high"]})
    return values


def plain_csv(documents: Sequence[Json], excel: bool = False) -> str:
    """Os valores simples e as listas de textos de documentos, sem as notas nem as fontes."""
    rows = [{name: value for name, value in document.items()
             if name not in ("source", "notes", "kv_groups")} for document in documents]
    columns = list(dict.fromkeys(chain.from_iterable(rows)))
    return csv_start(columns, excel) + "".join(map(csv_writer(columns, excel), rows))


def csv_cell(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return "; ".join(item for item in value if isinstance(item, str))
    return json.dumps(value) if isinstance(value, bool) else value


def excel_cell(value: Any) -> Any:
    """Com a vírgula decimal; um apóstrofo antes do texto que o Excel tomaria por uma fórmula."""
    value = csv_cell(value)
    if isinstance(value, float):
        return str(value).replace(".", ",")
    if value is None or isinstance(value, int):
        return value
    text = str(value)
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


# Colunas de --list: campo → título; pesos em GB.
LIST_COLUMNS = {
    "models": {
        "name": "nome", "num_layers": "camadas", "attention_pattern": "atenção",
        "max_position_embeddings": "contexto", "checkpoint_bytes": "pesos"},
    "servers": {
        "name": "nome", "product": "produto", "gpus": "GPUs", "hbm_per_gpu_gb": "GB/GPU",
        "hbm_usable_gib_per_gpu": "GiB/GPU", "nvlink_bandwidth_tbps": "NVLink TB/s"},
    "storage": {
        "name": "nome", "type": "tipo", "iops_read": "IOPS leit.",
        "throughput_read_gbps": "leit. GB/s", "throughput_write_gbps": "escr. GB/s",
        "latency_read_ms_p99": "P99 ms"}}


def catalogue_table(kind: str, entries: Sequence[Any]) -> str:
    """As entradas de um catálogo em colunas, com os apelidos embaixo de cada nome."""
    names = LIST_COLUMNS[kind]
    rows = [list(names.values())]
    rows += [[cell_text(name, getattr(entry, name)) for name in names] for entry in entries]
    to_the_left = ("name", "product", "type", "attention_pattern")
    layout = "  ".join("%%%s%ds" % ("-" if name in to_the_left else "", max(map(len, column)))
                       for name, column in zip(names, zip(*rows)))
    aliases = [(), *(names_of(entry)[1:] for entry in entries)]
    lines = []
    for also, row in zip(aliases, rows):
        lines.append((layout % tuple(row)).rstrip())
        lines += folded("  ou " + ", ".join(also), 5) if also else []
    return "\n".join(lines) + "\n"


# ── Apêndice: página HTML: html_page e html_comparison, o resultado inteiro num só arquivo


class Markup(str):
    """Texto que já é HTML: o que `element` escreve; qualquer outro texto entra nele escapado."""


EMPTY = Markup()
PAGE_STYLE = """\
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --dim: #57606a; --line: #d0d7de;
  --tint: #f3f6f9; --blue: #0b5cad; --green: #1a7f4b; --red: #b3261e; --gold: #9a6700;
  --free: #dfe5eb }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #14171a; --ink: #e6e8ea; --dim: #a6adb5; --line: #3a4149; --tint: #1d2226;
    --blue: #6cb6ff; --green: #5fc98f; --red: #ff8f85; --gold: #e0b252; --free: #343b42 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 64rem; background: var(--page);
  color: var(--ink); font: 15px/1.45 system-ui, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif;
  overflow-wrap: anywhere }
h1 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 .4rem }
h2 { font-size: 1.1rem; margin: 1.6rem 0 .5rem; border-bottom: 2px solid var(--line) }
p, ul { margin: .4rem 0 } ul { padding-left: 1.2rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { padding: .25rem .5rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top }
th { overflow-wrap: break-word }
thead th { color: var(--dim); font-size: .85em; border-bottom-width: 2px }
.number { text-align: right; font-variant-numeric: tabular-nums }
.wide { overflow-x: auto } .compared td, .compared th, .goals span { white-space: nowrap }
.best { background: var(--tint); font-weight: 600 }
.amounts { font-size: 1.1rem; color: var(--dim) }
.met { color: var(--green) } .at_risk, .missed { color: var(--gold); font-weight: 600 }
.missed { color: var(--red) }
.facts th { width: 24%; color: var(--dim) }
.figures { font-size: .85em } .figures tbody th { width: 24% }
.figures td:nth-child(2) { width: 23% }
code, small { color: var(--dim) }
code { font: .9em/1.3 ui-monospace, Consolas, "DejaVu Sans Mono", monospace }
@media (max-width: 36rem) {
  .goals, .compared { font-size: .76em } .goals th, .goals td { padding: .25rem .15rem }
  .figures tr { display: grid; grid-template-columns: 1fr 1fr }
  .figures tbody th, .figures td:nth-child(2) { width: auto; border-bottom: 0 }
  .figures tr > :last-child { grid-column: 1 / -1 } }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  gap: .5rem 1.5rem }
figure { margin: 0; break-inside: avoid } figure:last-child { grid-column: 1 / -1 }
figcaption { font-weight: 600; margin-bottom: .2rem }
svg { display: block; width: 100%; height: auto; print-color-adjust: exact }
svg text { font: 11px system-ui, Arial, sans-serif; fill: var(--dim) }
.legend { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: 0; list-style: none;
  font-size: .85em }
.legend svg { display: inline-block; width: 1em; margin-right: .35em; vertical-align: -.12em }
.grid { stroke: var(--line) } .curve, .other, .goal { fill: none; stroke-width: 2 }
.curve { stroke: var(--blue) } .other { stroke: var(--green); stroke-dasharray: 7 3 }
.goal { stroke: var(--red); stroke-dasharray: 4 3 } .band { stroke: none; opacity: .18 }
.curve.band, .dot { fill: var(--blue) } .other.band { fill: var(--green) }
.ring { fill: var(--page); stroke: var(--gold); stroke-width: 2.5 } .box { fill: var(--red) }
.part0 { fill: var(--blue) } .part1 { fill: var(--gold) } .part2 { fill: var(--green) }
.part3 { fill: var(--free) } .part4 { fill: var(--dim) }
footer { margin-top: 1.5rem; color: var(--dim); font-size: .85em }
@page { size: A4; margin: 9mm 10mm }
@media print {
  :root { color-scheme: light }
  body { padding: 0; max-width: none; font-size: 8pt; line-height: 1.25 }
  h1 { font-size: 14pt } h2 { font-size: 10pt; margin: 7pt 0 3pt; break-after: avoid }
  p, ul, table { margin: 2pt 0 } th, td { padding: 1pt 4pt } tr, li { break-inside: avoid }
  .charts { grid-template-columns: 1fr 1fr; gap: 0 1.5rem } .wide { overflow: visible }
  figure > svg { max-height: 34mm } .legend { margin: 0 }
  .compared { font-size: 7pt } .compared td, .compared th { white-space: normal }
  .figures, .sources { font-size: 5.5pt; line-height: 1.04 }
  .plain { columns: 2; font-size: 6.2pt; line-height: 1.15 } .plain h2 { column-span: all }
  .plain p { margin: .5pt 0 }
  .figures th, .figures td { padding: 0 4pt }
  .figures tbody th { width: 23% } .figures td:nth-child(2) { width: 16% }
  .figures code { font-size: .82em }
  footer { margin-top: 6pt } }
"""
PAGE_META = Markup("""\
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'">
""")
VERDICT_CLASSES = {text: name for name, text in VERDICTS.items()}
CHART_WIDTH, CHART_HEIGHT = 360, 210
PLOT = (46, 20, 350, 171)  # esquerda, topo, direita e base do quadro de um gráfico
CHART_POINTS = 40  # de cada curva


def element(name: str, *content: Any, **attributes: Any) -> Markup:
    """Um elemento; no nome de um atributo, `_` é hífen, e o do fim cai (`class_`).

    >>> element("b", "<i>", class_='"')
    '<b class="&quot;">&lt;i&gt;</b>'
    """
    import html

    written = "".join(' %s="%s"' % (key.rstrip("_").replace("_", "-"), html.escape(str(value)))
                      for key, value in attributes.items())
    inner = "".join(part if isinstance(part, Markup) else html.escape(
        str(part).replace(GLUE, "\u00a0")) for part in content)
    ends_line = any(isinstance(part, Markup) for part in content)  # não dentro de um texto
    return Markup("<%s%s>%s</%s>%s" % (name, written, inner, name, "\n" if ends_line else ""))


def elements(name: str, contents: Iterable[Any], **attributes: Any) -> Markup:
    """Um elemento para cada conteúdo."""
    return Markup("".join(element(name, content, **attributes) for content in contents))


def html_table(titles: Sequence[str], rows: Iterable[Sequence[Any]], sides: str, kind: str,
               best: Iterable[int] = ()) -> Markup:
    """Uma tabela em que a primeira célula de cada linha a nomeia; `sides` é l ou r por coluna."""
    classes = [{"class_": "number"} if side == "r" else {} for side in sides]
    head = Markup("".join(element("th", title, scope="col", **attributes)
                          for title, attributes in zip(titles, classes)))
    body = []
    for number, (name, *cells) in enumerate(rows):
        written = [element("th", name, scope="row", **classes[0])]
        written += [element("td", cell, **attributes)
                    for cell, attributes in zip(cells, classes[1:])]
        body.append(element("tr", *written, **{"class_": "best"} if number in best else {}))
    return element("table", element("thead", element("tr", head)) if titles else "",
                   element("tbody", *body), class_=kind)


def nice_step(most: float, parts: int) -> float:
    """O passo redondo (1, 2 ou 5 · 10ⁿ) que divide de 0 a `most` em até `parts` partes.

    >>> nice_step(613, 5), nice_step(23, 5), nice_step(0.9, 5)
    (200.0, 5.0, 0.2)
    """
    power = 10.0 ** int(("%e" % (most / parts)).partition("e")[2])
    return next(step for step in (power, 2 * power, 5 * power, 10 * power)
                if step * parts >= most * (1 - 1e-9))


@dataclass(frozen=True, eq=False)
class Axes:
    """As escalas de um gráfico, dos valores, de 0 ao maior, às coordenadas do desenho."""

    most_x: float
    most_y: float

    def at(self, x: Exact | float, y: Exact | float) -> tuple[float, float]:
        left, top, right, base = PLOT
        return (round(left + (right - left) * float(x) / self.most_x, 1),
                round(base - (base - top) * float(y) / self.most_y, 1))

    def path(self, points: Iterable[tuple[Exact | float, Exact | float]], kind: str) -> Markup:
        """A linha quebrada pelos pontos."""
        return element("path", d="M" + "L".join("%g %g" % self.at(*point) for point in points),
                       class_=kind)

    def frame(self, x_title: str, y_title: str, whole: bool) -> Markup:
        """A grade, os números dos eixos e os seus títulos; `whole`: só inteiros na vertical."""
        left, _, right, base = PLOT
        parts = [element("text", y_title, x=4, y=11),
                 element("text", x_title, x=right, y=CHART_HEIGHT - 6, text_anchor="end")]
        step = nice_step(self.most_y, 5)
        for value in ticks(self.most_y, max(step, 1.0) if whole else step):
            y = self.at(0, value)[1]
            parts += [element("path", d="M%g %gH%g" % (left, y, right), class_="grid"),
                      element("text", tick_text(value), x=left - 5, y=y + 4, text_anchor="end")]
        for value in ticks(self.most_x, nice_step(self.most_x, 5)):
            x = self.at(value, 0)[0]
            parts.append(element("text", tick_text(value), x=x, y=base + 15,
                                 text_anchor="middle"))
        return Markup("".join(parts))

    def inside(self, curves: Iterable[Markup]) -> Markup:
        """As curvas, cortadas no quadro: um `svg` dentro de outro corta o que passa dele."""
        left, top, right, base = PLOT
        box = (left, top, right - left, base - top)
        return element("svg", *curves, x=left, y=top, width=box[2], height=box[3],
                       viewBox="%d %d %d %d" % box)


def ticks(most: float, step: float) -> list[float]:
    return [step * number for number in range(int(most / step * (1 + 1e-9)) + 1)]


def tick_text(value: float) -> str:
    return number_text(value, 4) if value < 10**6 else number_text(value / 10**6) + "M"


# As marcas dos gráficos, para quem não vê as cores: disco, anel e quadrado.
MARKS = {"dot": lambda x, y: element("circle", cx=x, cy=y, r=4.5, class_="dot"),
         "ring": lambda x, y: element("circle", cx=x, cy=y, r=4.5, class_="ring"),
         "box": lambda x, y: element("rect", x=x - 4, y=y - 4, width=8, height=8, class_="box")}


def legend_item(kind: str, text: str) -> Markup:
    """Um item de legenda: a marca, o traço ou a cor, e o que é."""
    if kind in MARKS:
        sign = MARKS[kind](6, 6)
    elif kind.startswith("part"):
        sign = element("rect", x=0, y=0, width=12, height=12, class_=kind)
    else:
        sign = element("path", d="M0 6H12", class_=kind)
    return element("li", element("svg", sign, viewBox="0 0 12 12", aria_hidden="true"), text)


Legend = Sequence[Tuple[str, str]]  # (classe do que se desenha, o que é)


def html_chart(key: str, caption: str, drawing: Markup, legend: Legend,
               height: int = CHART_HEIGHT) -> Markup:
    """Um gráfico com o título, a legenda e, para quem não o vê, a descrição, que é a legenda."""
    about = [element("title", caption, id=key + "-titulo"),
             element("desc", "; ".join(text for _, text in legend), id=key + "-texto")]
    return element(
        "figure", element("figcaption", caption),
        element("svg", *about, drawing, viewBox="0 0 %d %d" % (CHART_WIDTH, height), role="img",
                aria_labelledby="%s-titulo %s-texto" % (key, key)),
        element("ul", *(legend_item(*item) for item in legend), class_="legend"))


def nodes_chart(r: SizingResult) -> Markup:
    """Os nós que cada carga pede, sem reserva: degraus até um além dos da resposta."""
    q, unit, rate = r.question, r.offer.nodes_per_unit, r.question.requests_per_second
    planned, full = r.offer.demand(q)
    load_of = rate / planned if rate else 1  # de uma sessão: o eixo é o da carga pedida
    minimum, with_peak, final = r.served_nodes
    peak, units = with_headroom(planned, q.peak_headroom_ratio), final // unit + 1
    edges = [*range(0, units, ceil_div(units, 100)), units]  # um degrau menor não se veria
    steps = [(edge * full * load_of, upper * unit) for lower, upper in zip(edges, edges[1:])
             for edge in (lower, upper)]
    axes = Axes(float(units * full * load_of), float(units * unit))
    points = {"box": (peak, final), "ring": (peak, with_peak), "dot": (planned, minimum)}

    def text(sessions: Exact) -> str:
        return number_text(sessions * load_of) + " pedidos/s" if rate else sessions_text(
            ceil_div(sessions, 1))

    drawing = [axes.frame("pedidos por segundo" if rate else "sessões em andamento", "nós", True),
               axes.path(steps, "curve"), *(MARKS[kind](*axes.at(sessions * load_of, nodes))
                                            for kind, (sessions, nodes) in points.items())]
    title = "Nós de decode pela carga" if r.pools else "Nós pela carga"
    return html_chart("nos", title, Markup("".join(drawing)), [
        ("curve", "sem reserva, %s por %s" % (text(full), unit_text(unit))),
        ("dot", "carga: %s, %s" % (text(planned), plural(minimum, "nó"))),
        ("ring", "pico: %s, %s" % (text(peak), plural(with_peak, "nó"))),
        ("box", "na resposta: " + plural(final, "nó"))])


STATE_MARKS = {"nominal": "dot", "peak": "box", "failure": "ring", "failure_peak": "box"}


def speed_chart(r: SizingResult) -> Markup:
    """Tokens/s de uma sessão pela carga de uma unidade, até a que a memória admite."""
    offer, layout, limit_ms = r.offer, r.offer.layout, r.question.tpot_limit_ms
    if not r.performance or not layout:
        return element("p", "Sem velocidade prevista: %s." % speed_gap(r))
    most = 4 * max(case["sessions_per_replica"] for case in r.performance)
    admitted = ceil_div(min(offer.plan_sessions, layout.ceiling_sessions), offer.replicas_per_unit)
    goal = 1e3 / limit_ms if limit_ms else 0.0
    axes = Axes(float(min(most, admitted) * offer.replicas_per_unit),
                1.5 * max(goal, *(rate_of(case, "session")["high"] for case in r.performance)))
    curves, legend = speed_curves(r, axes)
    if goal:
        curves.append(axes.path([(0, goal), (axes.most_x, goal)], "goal"))
        legend.append(("goal", "objetivo: %s tokens/s" % number_text(goal)))
    marks = []
    for state, kind in STATE_MARKS.items():
        cases = [case for case in shown_cases(r) if case["state"] == state]
        marks += [MARKS[kind](*axes.at(case["sessions_per_replica"] * offer.replicas_per_unit,
                                       rate_of(case, "session")["estimate"])) for case in cases]
        rates = " e ".join(range_text(rate_of(case, "session")) for case in cases)
        legend += [(kind, "%s: %s" % (STATES[state], rates))] if cases else []
    frame = axes.frame("sessões por " + unit_text(offer.nodes_per_unit), "tokens/s de uma sessão",
                       False)
    return html_chart("velocidade", "Velocidade pela carga, com a faixa de 80%",
                      Markup("".join([frame, axes.inside(curves), *marks[::-1]])), legend)


def speed_curves(r: SizingResult, axes: Axes) -> tuple[list[Markup], list[tuple[str, str]]]:
    """(as curvas das pontas da carga, cada uma com a sua faixa; a legenda)."""
    curves, legend, replicas = [], [], r.offer.replicas_per_unit
    fullest = round(axes.most_x) // replicas
    counts = sorted({1 + (fullest - 1) * part**2 // CHART_POINTS**2  # a curva cai mais no começo
                     for part in range(CHART_POINTS + 1)})
    for kind, end in (("curve", r.offer), ("other", r.offer.other_end)):
        if end and end.speed:
            cases = [performance_of(r.question, end.speed, replicas, end.nodes_per_unit,
                                    count * replicas) for count in counts]
            estimate, low, high = (
                [(case["sessions"], rate_of(case, "session")[edge]) for case in cases]
                for edge in ("estimate", "low", "high"))
            curves += [axes.path(high + low[::-1], kind + " band"), axes.path(estimate, kind)]
            legend.append((kind, plural(end.input_tokens, "token novo", "tokens novos")
                           + " por pedido"))
    return curves, legend


def hbm_chart(r: SizingResult) -> Markup:
    """A HBM de um nó como uma barra."""
    if not r.offer.layout:
        return element("p", "Sem a divisão da HBM: %s." % missing_text(r.capacity.missing))
    total, seen, drawing, legend = sum(hbm_parts(r).values()), Fraction(0), [], []
    for number, (label, size_gib) in enumerate(hbm_parts(r).items()):
        x, width = ("%.1f" % (CHART_WIDTH * part / total) for part in (seen, size_gib))
        legend.append(("part%d" % number, "%s: %s GiB" % (label[2:], decimal_text(size_gib, 0))))
        drawing.append(element("rect", x=x, y=0, width=width, height=16, class_=legend[-1][0]))
        seen += size_gib
    return html_chart("hbm", "HBM de um nó: %s GiB visíveis" % decimal_text(total, 0),
                      Markup("".join(drawing)), legend, 16)


def source_item(entry: Any) -> Markup:
    """As notas e as fontes de uma entrada de catálogo, como texto."""
    notes, sources = ([value] if isinstance(value, str) else value or []
                      for value in (entry.notes, entry.source))
    return element("li", element("b", entry.name + ": "), " ".join(notes),
                   element("small", " Fontes: " + " · ".join(sources)) if sources else "")


def figures_table(r: SizingResult) -> Markup:
    """Cada número com a fórmula e a fonte."""
    rows = []
    for row in figures_of(r):
        formula = row["name"] + (" = " + row["formula"] if row["formula"] else "")
        source = element("small", " fonte: " + row["source"]) if row["source"] else ""
        rows.append((row["label"], figure_text(row), Markup(element("code", formula) + source)))
    return html_table(("grandeza", "valor", "fórmula e fonte"), rows, "lll", "figures")


def goals_table(r: SizingResult) -> Markup:
    """As metas em cada estado, com a faixa de 80% e o veredito."""
    if not r.performance:
        return EMPTY
    (corner, titles), *rows = goal_rows(r)

    def unbroken(cell: str) -> Markup:
        """Cada palavra numa linha só; a do veredito, na sua cor."""
        return Markup(" ".join(element("span", word, class_=VERDICT_CLASSES.get(word, "plain"))
                               for word in cell.split()))

    table = html_table((corner, *titles), [(label, *map(unbroken, cells)) for label, cells in rows],
                       "l" + "r" * len(titles), "goals")
    return element("div", table, class_="wide")


def comparison_section(c: Comparison, shown: str) -> Markup:
    """A tabela inteira, que no navegador rola de lado, e por que não cabe o que não cabe."""
    star: Written = ("*", "l", ["*" if index in c.best else "" for index in range(len(c.rows))])
    columns = [*c.about, *c.cells, star]
    table = html_table([title for title, _, _ in columns], zip(*(texts for _, _, texts in columns)),
                       "".join(side for _, side, _ in columns), "compared", c.best)
    refused = [": ".join(filter(None, (row_name(c.about, index), row.reason)))
               for index, row in enumerate(c.rows) if row.reason]
    return element(
        "section", element("h2", "Comparação"), element("p", c.common),
        element("div", table, class_="wide", tabindex=0, role="region", aria_label="Comparação"),
        element("ul", elements("li", refused)), element("p", "; ".join(c.notes)),
        element("p", "O resto desta página é da linha: " + shown))


def preferred(new: Row, old: Row, sort: str, unsorted: str) -> bool:
    """Vale mais que a outra: o cenário recomendado, ou a melhor resposta à mesma carga."""
    if new.scenario:
        return new.scenario == RECOMMENDED
    return load_of(new.question) == load_of(old.question) and (
        rank(new.outcome, sort, unsorted) < rank(old.outcome, sort, unsorted))


def html_comparison(rows: Iterable[Row], sort: str, asked: Sequence[str], unsorted: str,
                    servers: Sequence[Server]) -> str:
    """A página da melhor resposta à carga da primeira linha que tem uma, com a comparação."""
    shown: list[Row] = []

    def watched() -> Iterator[Row]:
        for row in rows:
            if isinstance(row.outcome, SizingResult) and (
                    not shown or preferred(row, shown[0], sort, unsorted)):
                shown[:] = [row]
            yield row

    c = comparison_of(watched(), sort, asked, unsorted)
    row, r = shown[0], shown[0].outcome
    assert isinstance(r, SizingResult)  # sem nenhuma resposta, a comparação se recusa
    names = [row_name(c.about, index) for index, item in enumerate(c.rows)
             if (item.varied, item.scenario) == (varied_of(row.question), row.scenario)]
    return html_page(r, servers, comparison_section(c, names[0] if names else c.common))


def screen(r: SizingResult, servers: Sequence[Server]) -> Markup:
    """A primeira tela do relatório: a decisão, a pergunta, as metas, o porquê e os avisos."""
    facts = [row for row in limit_rows(r, servers) if row[0] != HBM_LABEL]  # está no gráfico
    parts = [
        element("h1", HEADLINES[r.asks](r)),
        element("p", " · ".join(physical_amounts(r)), class_="amounts"),
        elements("p", question_texts(r)), goals_table(r),
        elements("p", risk_texts(r), class_="at_risk"), html_table((), facts, "ll", "facts"),
        element("ul", elements("li", other_warnings(r)))]
    return element("header", *parts)


def html_page(r: SizingResult, servers: Sequence[Server], comparison: Markup = EMPTY) -> str:
    """A página de uma resposta: a primeira tela, as curvas, a comparação, as contas, as fontes."""
    q = r.question
    body = [
        screen(r, servers),
        element("section", element("h2", "Curvas"), element(
            "div", nodes_chart(r), speed_chart(r), hbm_chart(r), class_="charts")),
        comparison,
        element("section", element("h2", "Em palavras"), elements("p", plain_paragraphs(r)),
                class_="plain"),
        element("section", element("h2", "Fórmulas"), figures_table(r)),
        element("section", element("h2", "Catálogos"), element(
            "ul", *map(source_item, (q.model, q.server, q.storage)), class_="sources")),
        element("footer", "%s%s, sizing.py %s." % (certainty_text(r), ENGINE, __version__))]
    head = [PAGE_META, element("title", HEADLINES[r.asks](r)),
            element("style", Markup(PAGE_STYLE))]
    return "<!DOCTYPE html>\n" + element("html", element("head", *head), element("body", *body),
                                         lang="pt-BR")


# ── Apêndice: linha de comando: main; quem lê flags ou arquivos levanta SizingError

# Dez vezes, ou mais, os maiores que se usam; o que passa disso custaria segundos.
MAX_CATALOGUE_BYTES, MAX_CONFIG_BYTES, MAX_INDEX_BYTES = 2 << 20, 16 << 20, 48 << 20
DESCRIPTION = """\
Quantos servidores NVIDIA servem N sessões simultâneas de um LLM, e a que
velocidade.

uso: python3 sizing.py --model NOME --server NOME --concurrency N [opções]"""
EPILOG = """\
exemplos:
  python3 sizing.py --model opt-oss-120b --server dgx300 --concurrency 1000 \\
      --effective-context 128k --ha n+1
  python3 sizing.py --model opt-oss-20b --server dgx200 --concurrency 500 \\
      --effective-context 64k --kv-precision fp16 --json
  python3 sizing.py --list models

status de saída: 0 respondido; 1 a saída não pôde ser escrita; 2 pergunta ou
catálogo errado; 3 pergunta correta, mas nada cabe."""


class HelpText(argparse.RawDescriptionHelpFormatter):
    """A ajuda em 80 colunas, qualquer que seja o terminal, sem partir uma flag no hífen."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=WIDTH)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return folded(text, 0, width)


class Parser(argparse.ArgumentParser):
    """`argparse` cujos erros são `SizingError`, em português."""

    def error(self, message: str) -> Any:
        match = re.match(r"argument ([^/:]+).*?: (expected|ignored explicit argument) ?(.*)",
                         message, re.S)
        if not match:
            raise SizingError("linha de comando", message)
        if match[2] == "expected":
            raise SizingError(match[1], "falta o valor")
        raise SizingError(match[1], "não aceita valor (recebeu %s)" % match[3])


def add_question_flags(parser: Parser) -> None:
    group = parser.add_argument_group("pergunta")
    group.add_argument("--model", metavar="NOME",
                       help="modelo do catálogo, por nome, apelido ou id do Hugging Face "
                            "(obrigatório, ou --hf-config)")
    group.add_argument("--hf-config", metavar="CAMINHO",
                       help="no lugar de --model, um config.json do Hugging Face ou a pasta do "
                            "checkpoint; valem também o índice e os safetensors ao lado")
    group.add_argument("--weights-gib", metavar="GIB",
                       help="com --hf-config, o tamanho dos pesos (padrão: o dos "
                            "safetensors, o do índice ou o calculado)")
    group.add_argument("--server", metavar="NOME",
                       help="servidor do catálogo, por nome, apelido, produto ou GPU, como dgx200, "
                            "'DGX H200' ou h200 (obrigatório)")
    group.add_argument("--concurrency", metavar="N",
                       help="sessões simultâneas, como 1000 ou 1k (padrão: quantas os nós "
                            "mantêm)")
    group.add_argument("--requests-per-second", metavar="TAXA",
                       help="no lugar de --concurrency, pedidos por segundo")
    group.add_argument("--effective-context", metavar="TOKENS",
                       help="tokens por sessão, como 131072 ou 128k (padrão: a soma do pedido, "
                            "se ele é dado; senão, o máximo do modelo)")
    group.add_argument("--context-mix", metavar="MISTURA",
                       help="no lugar de --effective-context, sessões de vários comprimentos, "
                            "como 8k:70%%,32k:25%%,128k:5%%")
    group.add_argument("--input-tokens", metavar="TOKENS",
                       help="tokens novos por pedido (padrão: as duas pontas, prompt todo novo e "
                            "+1024 tokens)")
    group.add_argument("--cached-tokens", metavar="TOKENS",
                       help="tokens do pedido que já estão em cache (padrão: o resto do contexto; "
                            "sem ele, o prefixo comum)")
    group.add_argument("--output-tokens", metavar="TOKENS",
                       help="tokens gerados por pedido (padrão: até 1024 e até metade do "
                            "contexto)")
    group.add_argument("--shared-prefix-tokens", metavar="TOKENS",
                       help="prefixo em cache que todas as sessões dividem, guardado uma vez por "
                            "réplica (padrão: nenhum)")
    group.add_argument("--max-tpot-ms", metavar="MS", help="objetivo de tempo por token")
    group.add_argument("--min-tokens-per-second", metavar="TAXA",
                       help="objetivo de tokens por segundo em cada sessão")
    group.add_argument("--max-ttft-ms", metavar="MS",
                       help="objetivo da mediana do tempo até o primeiro token")
    group.add_argument("--max-ttft-p95-ms", metavar="MS",
                       help="objetivo do percentil 95 do tempo até o primeiro token")
    group.add_argument("--confidence", metavar="NÍVEL",
                       help="50%% julga os objetivos na previsão; 90%%, na ponta ruim da faixa de "
                            "80%% (padrão: 50%%)")
    group.add_argument("--nodes", metavar="N",
                       help="os nós que existem: quantas sessões mantêm; com --concurrency, até "
                            "que contexto; com as duas e --effective-context, se a carga cabe "
                            "(padrão, sem --concurrency: 1)")
    group.add_argument("--scenarios", action="store_true",
                       help="mínimo, recomendado e ideal lado a lado")
    group.add_argument("--calibrate-tpot-ms", metavar="MS@SESSÕES",
                       help="um TPOT medido, com tantas sessões na réplica, escala a previsão")
    group.add_argument("--engine-log", metavar="ARQUIVO",
                       help="log de um vllm serve deste modelo neste servidor: o KV do teto é o "
                            "dele, e o previsto aparece ao lado")
    group.add_argument("--storage", metavar="NOME",
                       help="perfil de storage, para o tempo de carga (padrão: profile_default)")


def add_policy_flags(parser: Parser) -> None:
    group = parser.add_argument_group("política")
    group.add_argument("--kv-precision", metavar="P",
                       help="fp8, fp16, bf16, int8 ou nvfp4 (padrão: a do modelo)")
    group.add_argument("--kv-budget-ratio", metavar="RAZÃO",
                       help="parte da HBM planejada para KV (padrão: 0.70)")
    group.add_argument("--runtime-overhead-gib", metavar="GIB",
                       help="GiB por nó retirados dessa parte (padrão: 15 por GPU)")
    group.add_argument("--peak-headroom-ratio", metavar="PICO",
                       help="pico acima da concorrência (padrão: 20%%)")
    group.add_argument("--ha", metavar="MODO",
                       help="nós de reserva: none, n+1 ou n+2 (padrão: none)")
    group.add_argument("--disaggregated", metavar="MODO",
                       help="prefill e decode em nós separados: no, yes ou auto, o que "
                            "compra menos nós (padrão: no)")
    group.add_argument("--gpu-memory-utilization", metavar="RAZÃO",
                       help="parte da HBM de cada GPU que o motor usa (padrão: 0.90)")
    group.add_argument("--tensor-parallel", metavar="GPUS",
                       help="GPUs por réplica (padrão: auto, o leiaute que compra menos nós)")
    group.add_argument("--pipeline-parallel", metavar="ETAPAS",
                       help="etapas em que a réplica divide as camadas, cada uma com as GPUs de "
                            "--tensor-parallel (padrão: auto)")
    group.add_argument("--max-num-seqs", metavar="N",
                       help="sequências que cada motor gera ao mesmo tempo (padrão: as sessões "
                            "que ele mantém)")
    group.add_argument("--max-num-batched-tokens", metavar="TOKENS",
                       help="tokens de um passo do motor (padrão: o do vLLM na GPU)")
    group.add_argument("--speculative-tokens", metavar="K",
                       help="tokens que as camadas MTP do modelo rascunham por passo (padrão: 0)")
    group.add_argument("--acceptance-length", metavar="A",
                       help="tokens que cada passo gera com --speculative-tokens: o do modelo e "
                            "os rascunhados que ele aceita (padrão: o medido com K)")
    group.add_argument("--weights-precision", metavar="P",
                       help="bf16, fp16, fp8, int8, mxfp4, nvfp4 ou int4 (padrão: a do "
                            "checkpoint)")


def add_cost_flags(parser: Parser) -> None:
    group = parser.add_argument_group("energia e dinheiro")
    group.add_argument("--pue", metavar="PUE",
                       help="energia do prédio sobre a dos servidores (padrão: 1.3)")
    group.add_argument("--node-price", metavar="PREÇO",
                       help="preço de um nó, em qualquer moeda, ou o de cada servidor, como "
                            "dgx200=400000,dgx300=520000")
    group.add_argument("--energy-price", metavar="PREÇO", help="preço do kWh, na mesma moeda")
    group.add_argument("--years", metavar="ANOS", help="período do custo")


def add_output_flags(parser: Parser) -> None:
    group = parser.add_argument_group("saída")
    group.add_argument("--explain", action="store_true",
                       help="cada número com a fórmula e os valores, e o comando do motor")
    group.add_argument("--json", "--json-only", action="store_true",
                       help="escreve um documento JSON e nada mais")
    group.add_argument("--csv", action="store_true",
                       help="escreve uma tabela CSV; numa pergunta, sempre com as mesmas colunas")
    group.add_argument("--csv-excel", action="store_true",
                       help="as mesmas colunas como o Excel brasileiro as abre: ; e vírgula "
                            "decimal")
    group.add_argument("--html", action="store_true",
                       help="escreve uma página para o navegador ou a impressora, num só arquivo")
    group.add_argument("--sort", metavar="COLUNA",
                       help="ordena a comparação: nodes, sessions_per_node, tpot_ms, ttft_ms, "
                            "power_kw, rack_units, total ou cold_start_seconds")
    group.add_argument("--list", metavar="CATÁLOGO", help="lista models, servers ou storage")
    group.add_argument("--validate", action="store_true",
                       help="verifica os três catálogos, e os dados, e lista os problemas")
    group.add_argument("--print-model", action="store_true",
                       help="com --hf-config, mostra a entrada para colar em models.json")
    group.add_argument("--version", action="store_true", help="mostra a versão")
    group.add_argument("--help", "-h", action="store_true", help="mostra esta ajuda")


def add_catalogue_flags(parser: Parser) -> None:
    group = parser.add_argument_group(
        "catálogos seus: as entradas se juntam às dos que estão ao lado de\n"
        "sizing.py, e de um nome repetido vale a sua")
    group.add_argument("--models-file", metavar="ARQUIVO", help="modelos, como models.json")
    group.add_argument("--servers-file", metavar="ARQUIVO", help="servidores, como servers.json")
    group.add_argument("--storage-file", metavar="ARQUIVO",
                       help="perfis de storage, como storage.json")


def build_parser() -> Parser:
    """As flags, na ordem da ajuda; as que não se dão ficam de fora."""
    parser = Parser(prog="sizing.py", usage=argparse.SUPPRESS, description=DESCRIPTION,
                    epilog=EPILOG, add_help=False, allow_abbrev=False, formatter_class=HelpText)
    for add_flags in (add_question_flags, add_policy_flags, add_cost_flags, add_output_flags,
                      add_catalogue_flags):
        add_flags(parser)
    return parser


Flags = Dict[str, str]  # o texto de cada flag dada, vazio nas que não têm valor
Reader = Callable[[str, str], Any]  # (flag, texto) → o valor
UNITS = {"k": Fraction(1000), "m": Fraction(10**6)}
TOKENS = {"k": Fraction(1024), "m": Fraction(1024**2)}
RATIO = {"%": Fraction(1, 100)}


@dataclass(frozen=True, eq=False)
class Quantity:
    """Como se lê um número: os sufixos, o tipo, a faixa e como ela se diz.

    `1.000` é mil para muitos leitores e um para o Python: só se aceita com `three_places`, onde mil
    não faria sentido.
    """

    suffixes: dict[str, Fraction]
    kind: type
    accepts: Callable[[Fraction], bool]
    expected: str
    three_places: bool = False

    def read(self, flag: str, text: str) -> Any:
        """O número, exato até a conversão para o tipo. Levanta `SizingError`."""
        factor = self.suffixes.get(text[-1:].lower())
        body = text[:-1] if factor else text
        if in_thousands(body) and not self.three_places:
            raise SizingError(flag, "espera-se %s; o milhar não se separa%s" % (
                self.expected, self.rewriting(body, text[len(body):])), value=text)
        number = exact_decimal(body)
        if number is None:
            raise SizingError(flag, "espera-se " + self.expected + illegible_hint(body), value=text)
        value = number * (factor or 1)
        whole = self.kind is not int or value.denominator == 1
        dotted = self.kind is int and "." in body and not factor and "e" not in body.lower()
        ambiguous = self.suffixes is RATIO and value > 1 and not factor and self.accepts(value)
        if self.accepts(value) and whole and not dotted and not ambiguous:
            return self.kind(value)
        hint = ""
        if ambiguous:
            hint = "; acima de 1 diga a porcentagem: %s%% ou %s%%?" % (
                body, decimal_text(value * 100, 2))
        raise SizingError(flag, "espera-se " + self.expected + hint, value=text)

    def rewriting(self, body: str, suffix: str) -> str:
        """Como escrever um número com pontos de milhar, entre o que a flag aceita."""
        ways = []
        for text in (body.replace(".", ""), with_other_places(body)):
            try:
                self.read("", text + suffix)
                ways.append(text + suffix)
            except SizingError:
                pass
        return ": escreva " + ", ou ".join(ways) if ways else ""


def in_thousands(text: str) -> bool:
    """Grupos de três algarismos depois de um ponto, sem zero à esquerda.

    >>> [in_thousands(text) for text in ("1.000", "2.500.000", "0.700", "1000.000", "1.5")]
    [True, True, False, False, False]
    """
    return bool(re.fullmatch(r"[+-]?[1-9][0-9]{0,2}(\.[0-9]{3})+", text))


def with_other_places(text: str) -> str:
    """O mesmo decimal sem exatamente três casas.

    >>> with_other_places("500.000"), with_other_places("1.250"), with_other_places("1.125")
    ('500.0', '1.25', '1.1250')
    """
    short = text.rstrip("0")
    if short.endswith("."):
        return short + "0"
    return short + "0" if in_thousands(short) else short


def illegible_hint(text: str) -> str:
    """O engano provável num texto que não é um número."""
    if "," in text:
        return "; sem vírgula: o separador decimal é o ponto e o milhar não se separa"
    if re.fullmatch(r"[+-]?[0-9_.]+([eE][+-]?[0-9]+)?", text):
        return "; até %d dígitos e expoente até %d" % (MAX_DIGITS, MAX_DIGITS)
    return ""


def positive(value: Fraction) -> bool:
    return value > 0


def as_written(flag: str, text: str) -> str:
    return text


def choice(*options: str) -> Reader:
    """Um destes textos, em qualquer caixa."""
    def read(flag: str, text: str) -> str:
        if text.lower() in options:
            return text.lower()
        raise SizingError(flag, "espera-se um destes: " + ", ".join(options)
                          + nearest(text, options), value=text)

    return read


def auto_or(things: str) -> Reader:
    """`auto`, o leiaute que compra menos nós, é None."""
    count = Quantity(UNITS, int, positive, "auto ou um inteiro positivo de " + things)
    return lambda flag, text: None if text.lower() == "auto" else count.read(flag, text)


COUNT_READER = Quantity(UNITS, int, positive, "um inteiro positivo, como 1000, 1e3 ou 1k").read
TOKENS_READER = Quantity(
    TOKENS, int, positive, "um inteiro positivo de tokens, como 131072 ou 128k").read


MAX_LENGTHS = 32


def context_mix(flag: str, text: str) -> tuple[tuple[int, Fraction], ...]:
    """`8k:70%,32k:30%`: (tokens, parte das sessões), do menor ao maior."""
    parts: dict[int, Fraction] = {}
    if text.count(",") >= MAX_LENGTHS:
        raise SizingError(flag, "espera-se até %d comprimentos" % MAX_LENGTHS, value=text)
    for part in text.split(","):
        tokens, separator, share = part.partition(":")
        if not separator:
            raise SizingError(flag, "espera-se TOKENS:PARTE, como 8k:70%,32k:30%", value=text)
        parts.setdefault(TOKENS_READER(flag, tokens), SHARE_READER(flag, share))
    if len(parts) < len(text.split(",")):
        raise SizingError(flag, "espera-se cada comprimento uma vez", value=text)
    if sum(parts.values()) != 1:
        raise SizingError(flag, "espera-se que as partes somem 100%%, e somam %s%%" % decimal_text(
            100 * sum(parts.values()), MAX_DIGITS), value=text)
    return tuple(sorted(parts.items()))


def confidence(flag: str, text: str) -> Fraction:
    level: Fraction = RATIO_READER(flag, text)
    if level not in (EVEN, CONFIDENT):
        raise SizingError(flag, "espera-se 50% (objetivos na previsão) ou 90% (na ponta ruim da "
                          "faixa)", value=text)
    return level


# Milissegundos só entram em previsões: float.
MS_READER = Quantity(UNITS, float, positive, "um número positivo de milissegundos").read
GIB_READER = Quantity(UNITS, Fraction, lambda gib: 0 < gib <= 10**9,
                      "um número positivo de GiB, até 1e9").read
PRICE = Quantity(UNITS, Fraction, positive, "um número positivo, em qualquer moeda")
PRICE_READER = PRICE.read
UNIT_RATIO = Quantity(RATIO, Fraction, lambda ratio: 0 < ratio <= 1,
                      "uma razão acima de 0 e até 1, como 0.7 ou 70%")
RATIO_READER = UNIT_RATIO.read
SHARE_READER = replace(UNIT_RATIO, three_places=True).read  # um terço, 33.333%


def measured_point(flag: str, text: str) -> tuple[float, int]:
    ms, _, sessions = text.partition("@")
    try:
        return MS_READER(flag, ms), COUNT_READER(flag, sessions)
    except SizingError as error:
        wrong = saying(error, error.expected + " (MS@SESSÕES, como 38.5@64)")
        wrong.value = text
        raise wrong from None




def node_prices(flag: str, text: str) -> list[tuple[str, Fraction]]:
    """(nome do servidor, preço); o nome vazio são todos."""
    if "=" not in text:
        return [("", PRICE_READER(flag, text))]
    prices = []
    for element in text.split(","):
        name, equals, price = element.partition("=")
        if not name or not equals:
            raise SizingError(flag, "espera-se SERVIDOR=PREÇO, como dgx200=400000,dgx300=520000; "
                              "o milhar não se separa", value=element)
        prices.append((name, PRICE_READER(flag, price)))
    return prices


# Como se lê cada flag com valor, na ordem da ajuda.
READERS: dict[str, Reader] = {
    "--model": as_written,
    "--hf-config": as_written,
    "--weights-gib": GIB_READER,
    "--server": as_written,
    "--concurrency": COUNT_READER,
    "--requests-per-second": Quantity(
        UNITS, Fraction, positive, "um número positivo de pedidos por segundo").read,
    "--effective-context": TOKENS_READER,
    "--context-mix": context_mix,
    "--input-tokens": TOKENS_READER,
    "--cached-tokens": Quantity(
        TOKENS, int, lambda tokens: tokens >= 0,
        "um inteiro de tokens, de 0 em diante, como 4096 ou 4k").read,
    "--output-tokens": TOKENS_READER,
    "--shared-prefix-tokens": TOKENS_READER,
    "--max-tpot-ms": MS_READER,
    "--min-tokens-per-second": Quantity(
        UNITS, float, positive, "um número positivo de tokens por segundo").read,
    "--max-ttft-ms": MS_READER,
    "--max-ttft-p95-ms": MS_READER,
    "--confidence": confidence,
    "--nodes": COUNT_READER,
    "--calibrate-tpot-ms": measured_point,
    "--engine-log": as_written,
    "--storage": as_written,
    "--kv-precision": choice(*KV_PRECISIONS),
    "--kv-budget-ratio": RATIO_READER,
    "--runtime-overhead-gib": Quantity(
        UNITS, Fraction, lambda gib: gib >= 0, "um número de GiB, de 0 em diante").read,
    "--peak-headroom-ratio": Quantity(
        RATIO, Fraction, lambda ratio: ratio >= 0,
        "uma razão de 0 em diante, como 0.2 ou 20%").read,
    "--ha": choice(*HA_SPARES),
    "--disaggregated": choice(*DISAGGREGATED),
    "--gpu-memory-utilization": RATIO_READER,
    "--tensor-parallel": auto_or("GPUs"),
    "--pipeline-parallel": auto_or("etapas"),
    "--max-num-seqs": COUNT_READER,
    "--max-num-batched-tokens": TOKENS_READER,
    "--speculative-tokens": Quantity(
        UNITS, int, lambda tokens: 0 <= tokens <= 32, "um inteiro de 0 a 32").read,
    "--acceptance-length": Quantity(
        UNITS, Fraction, lambda tokens: 1 <= tokens <= 33, "um número de 1 a 33",
        three_places=True).read,
    "--weights-precision": choice(*WEIGHT_BITS),
    "--pue": Quantity(UNITS, Fraction, lambda pue: 1 <= pue <= 10, "um número de 1 a 10",
                      three_places=True).read,
    "--node-price": node_prices,
    "--energy-price": replace(PRICE, three_places=True).read,
    "--years": Quantity(
        UNITS, Fraction, lambda years: 0 < years <= 100, "um número de anos até 100",
        three_places=True).read,
    "--sort": choice(*SORTS),
    "--list": choice(*CATALOGUES),
    "--models-file": as_written,
    "--servers-file": as_written,
    "--storage-file": as_written}
SWITCHES = ("--scenarios", "--explain", "--json", "--json-only", "--csv", "--csv-excel", "--html",
            "--validate", "--print-model", "--version", "--help", "-h")


# O que se costuma escrever, sem acentos → as flags que são isso.
NEAR_FLAGS = {word: flags for words, flags in (
    ("users user usuarios usuario sessions session sessoes clients clientes concorrencia parallel "
     "batch batch-size simultaneous", "--concurrency"),
    ("rps qps rate taxa requests req-per-second", "--requests-per-second"),
    ("context contexto ctx ctx-len context-length context-len max-context max-model-len seq-len "
     "max-seq-len sequence-length tokens", "--effective-context"),
    ("input prompt prompt-tokens entrada isl input-length", "--input-tokens"),
    ("output saida max-tokens max-new-tokens osl output-length generated", "--output-tokens"),
    ("gpus gpu-count num-gpus n-gpus", "--nodes --tensor-parallel"),
    ("servers servidores nos num-nodes n-nodes replicas", "--nodes"),
    ("gpu hardware machine maquina node servidor box", "--server"),
    ("tp tensor-parallel-size", "--tensor-parallel"),
    ("pp pipeline-parallel-size stages etapas", "--pipeline-parallel"),
    ("max-num-sequences max-batch-size max-running-requests", "--max-num-seqs"),
    ("chunked-prefill-size max-num-tokens", "--max-num-batched-tokens"),
    ("mtp eagle draft-tokens num-speculative-tokens speculative speculative-config",
     "--speculative-tokens"),
    ("acceptance accept-length accepted acceptance-rate al synthetic-acceptance-length "
     "spec-accept-length aceitacao", "--acceptance-length"),
    ("disagg disaggregation disaggregate pd pd-disaggregation prefill-decode desagregado",
     "--disaggregated"),
    ("modelo model-name models llm", "--model"),
    ("precision precisao", "--kv-precision --weights-precision"),
    ("dtype quantization quant pesos weights", "--weights-precision"),
    ("kv kv-cache kv-cache-dtype kv-dtype", "--kv-precision"),
    ("headroom pico peak folga", "--peak-headroom-ratio"),
    ("overhead reserve reserva-gib", "--runtime-overhead-gib"),
    ("gpu-util gpu-mem-util utilization mem-fraction-static", "--gpu-memory-utilization"),
    ("redundancy redundancia spare spares reserva failover availability", "--ha"),
    ("tpot latency latencia itl", "--max-tpot-ms"),
    ("ttft first-token", "--max-ttft-ms"),
    ("p95 ttft-p95 p99 ttft-p99 max-ttft-p99-ms", "--max-ttft-p95-ms"),
    ("log logs vllm-log engine-logs", "--engine-log"),
    ("disk disco armazenamento", "--storage"),
    ("price preco cost custo", "--node-price"),
    ("kwh energy energia", "--energy-price"),
    ("config config-json hf hf-model", "--hf-config"),
    ("output-format format formato", "--json --csv"),
    ("excel planilha xlsx", "--csv-excel"),
    ("pagina web navegador browser pdf", "--html"),
    ("verbose why porque explicar", "--explain"),
    ("catalogo catalog list-models list-servers", "--list")) for word in words.split()}


def near_flag(text: str) -> str:
    """Sugestão para um argumento desconhecido: ` (talvez '--x')`, ou nada."""
    import unicodedata  # só quando algo deu errado

    if not text.startswith("-"):
        return "; um nome com espaços se escreve entre aspas"
    word = unicodedata.normalize("NFKD", text.partition("=")[0]).encode("ascii", "ignore").decode()
    words = {"--" + name: flags for name, flags in NEAR_FLAGS.items()}
    found = closest(word.replace("_", "-"), [*words, *READERS, *SWITCHES])
    return maybe(words.get(found, found).split() or [""])


def parse_arguments(argv: Sequence[str]) -> Flags:
    """O texto de cada flag dada, vazio nas que não têm valor."""
    words: list[str] = []
    for word in argv:  # `--flag -1e5`: o argparse tomaria o valor negativo por outra flag
        if words and words[-1] in READERS and word.startswith("-") and word[1:2] != "-":
            words[-1] += "=" + word
        else:
            words.append(word)
    parsed, unknown = build_parser().parse_known_args(words)
    if unknown:
        raise SizingError("argumento desconhecido", "veja --help" + near_flag(unknown[0]),
                          value=unknown[0])
    given = {}
    for name, text in vars(parsed).items():
        if isinstance(text, list):  # o argparse lê `--flag=--` como uma lista
            text = "--"
        if text not in (None, False):
            given["--" + name.replace("_", "-")] = "" if text is True else text
    return given


def values_of(given: Flags) -> Json:
    """Flag → valor; nas de `VARIED`, a lista dos valores a comparar. Levanta `SizingError`."""
    return {flag: several_values(flag, given[flag]) if flag in VARIED
            else READERS[flag](flag, given[flag]) for flag in READERS if flag in given}


def several_values(flag: str, text: str) -> list[Any]:
    elements = text.split(",")
    if len(elements) == 1:
        return [READERS[flag](flag, text)]
    if len(elements) > MAX_ROWS:
        raise SizingError(flag, "%d valores a comparar, e o máximo é %d" % (
            len(elements), MAX_ROWS))
    if re.search("(^|,)0[0-9]+(,|$)", text):
        raise SizingError(flag, "a vírgula separa os valores a comparar, e o milhar não se separa",
                          value=text)
    try:
        values = [READERS[flag](flag, element) for element in elements]
    except SizingError as error:
        raise saying(
            error, error.expected + "; a vírgula separa os valores a comparar") from None
    seen: set[Any] = set()
    for value, element in zip(values, elements):
        if value in seen:
            raise SizingError(flag, "o valor se repete na lista", value=element)
        seen.add(value)
    return values


def os_reason(error: OSError) -> str:
    import errno

    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    return {"ENOENT": "o arquivo não existe", "EISDIR": "é um diretório",
            "EACCES": "sem permissão", "ENOSPC": "não há espaço no disco",
            }.get(name, "erro %s do sistema" % name)


def read_file(path: str, shown: str, most_bytes: int) -> bytes:
    """O conteúdo de um arquivo; `shown` é o nome dele nas mensagens."""
    try:
        with open(path, "rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise SizingError(shown, os_reason(error) + "; espera-se um arquivo JSON") from None
    except ValueError:  # caminho com byte nulo
        raise SizingError(shown, "não é um caminho de arquivo") from None
    if len(data) > most_bytes:
        raise SizingError(shown, "o arquivo passa de %d MiB" % (most_bytes >> 20))
    return data


def catalogue_files(given: Flags, kind: str) -> list[tuple[str, str]]:
    """(caminho, nome nas mensagens) do arquivo da flag, se há um, e do que está ao lado deste."""
    shown = kind + ".json"
    files = [(os.path.join(os.path.dirname(os.path.realpath(__file__)), shown), shown)]
    flag = "--%s-file" % kind
    return [(given[flag], given[flag] or "''"), *files] if flag in given else files


def read_entries(kind: str, path: str, shown: str,
                 names: Sequence[str] = ()) -> tuple[list[Any], list[SizingError]]:
    """(entradas, problemas) de um arquivo; só as que `names` nomeia, se são dados."""
    try:
        return load_catalogue(kind, shown, read_file(path, shown, MAX_CATALOGUE_BYTES),
                              names)
    except SizingError as error:
        return [], [error]


def read_catalogue(given: Flags, kind: str,
                   names: Sequence[str] = ()) -> tuple[list[Any], list[SizingError]]:
    """(entradas, problemas): as do arquivo dado se juntam às de fábrica."""
    files = catalogue_files(given, kind)
    # Um arquivo dado se confere inteiro, e muda o que um nome das de fábrica quer dizer.
    loaded = [read_entries(kind, *file, () if len(files) > 1 else names) for file in files]
    return joined_files(files, loaded), [error for _, problems in loaded for error in problems]


def joined_files(files: Sequence[tuple[str, str]],
                 loaded: Sequence[tuple[list[Any], list[SizingError]]]) -> list[Any]:
    """As entradas do arquivo dado, se há um, e as de fábrica."""
    entries, _ = loaded[-1]
    return joined(files[0][1], loaded[0][0], entries) if len(loaded) > 1 else entries


def require_catalogue(given: Flags, kind: str, names: Sequence[str] = ()) -> list[Any]:
    """As entradas de um catálogo sem problemas; ao menos as que `names` nomeia, se são dados."""
    entries, problems = read_catalogue(given, kind, names)
    if len(problems) > 1:
        first, total = problems[0], sum(problem.problems for problem in problems)
        raise saying(first, "%s (e mais %s: veja --validate)" % (
            first.expected, plural(total - 1, "problema")))
    if problems:
        raise problems[0]
    return entries


MAX_LOG_BYTES, LOG_BLOCK_BYTES, MAX_LOG_LINES = 512 * 2**20, 2**20, 20 * 1000
LOG_WORDS = (b"GiB", b"KV cache size", b"tokens per request", b"LLM engine", b"non-default args",
             b"batched_tokens=", b"--gpu-memory-utilization=")
LOG_NUMBER = r"(-?[0-9]{1,15}(?:\.[0-9]{1,9})?)"
# O que dizem as linhas do vLLM 0.11 ao 0.33; de várias GPUs ou motores, qual dos números vale.
LOG_LINES: tuple[tuple[str, str, Callable[..., Fraction]], ...] = (
    ("weights_bytes", "Model loading took NUMBER GiB", max),
    ("kv_capacity_bytes", "Available KV cache memory: NUMBER GiB", min),
    ("kv_capacity_bytes", "reserved NUMBER GiB memory for KV Cache", min),  # dado em bytes
    ("cuda_graphs_bytes", "Graph capturing finished in [0-9]+ secs?, took NUMBER GiB", max),
    ("gpu_bytes", r"Free memory on device \([0-9.]+/NUMBER GiB\)", min),
    ("kv_tokens", "GPU KV cache size: NUMBER tokens", min),
    ("max_model_len", "Maximum concurrency for NUMBER tokens per request", min),
    ("max_concurrency", "Maximum concurrency for [0-9]+ tokens per request: NUMBERx", min),
    ("data_parallel", r"\bdata_parallel_size'?(?:=|: )NUMBER", lambda before, last: last))
# Os argumentos que o motor diz, em `nome=valor` ou `'nome': valor`: as linhas, as flags daqui e,
# dos que não têm flag, ou não para todo valor, os únicos que se dimensionam.
LOG_ARGUMENTS = (r"LLM engine \(v|non-default args|Chunked prefill is enabled with |"
                 r"Desired GPU memory utilization is \(|The current --gpu-memory-utilization=")
LOG_WORDINGS = (
    (r"Desired GPU memory utilization is \(|The current --gpu-memory-utilization=",
     "gpu_memory_utilization="),
    (r"SpeculativeConfig\(method=|'speculative_config': {'method': ", "speculative_method="),
    ("num_spec_tokens=", "num_speculative_tokens="),
    ("speculative_config=None", "num_speculative_tokens=0"))
LOG_FLAGS = {  # sem as três primeiras, nada do log se compara
    "tensor_parallel_size": "--tensor-parallel", "pipeline_parallel_size": "--pipeline-parallel",
    "gpu_memory_utilization": "--gpu-memory-utilization", "max_num_seqs": "--max-num-seqs",
    "max_num_batched_tokens": "--max-num-batched-tokens", "kv_cache_dtype": "--kv-precision",
    "num_speculative_tokens": "--speculative-tokens"}
LOG_KV_PRECISIONS = {
    "fp8": "fp8", "fp8_e4m3": "fp8", "fp8_ds_mla": "fp8", "bfloat16": "bf16", "float16": "fp16",
    "half": "fp16", "nvfp4": "nvfp4", "int8_per_token_head": "int8"}
LOG_SIZED = {"decode_context_parallel_size": "1", "prefill_context_parallel_size": "1",
             "num_gpu_blocks_override": "", "speculative_method": r"\w*mtp",
             "kv_cache_dtype": "|".join(LOG_KV_PRECISIONS)}


def log_lines(path: str) -> Iterator[str]:
    """As que podem interessar, sem cores nem milhares separados; um log não cabe na memória."""
    size, lines, rest = 0, 0, b""
    try:
        with open(path, "rb") as file:
            for block in chain(iter(lambda: file.read(LOG_BLOCK_BYTES), b""), [b"\n"]):
                size += len(block)
                if size > MAX_LOG_BYTES:
                    raise SizingError("--engine-log", "o arquivo passa de %d MiB: recorte o início "
                                      "do motor" % (MAX_LOG_BYTES >> 20), value=path)
                whole, _, rest = (rest[-LOG_BLOCK_BYTES:] + block).rpartition(b"\n")
                if any(word in whole for word in LOG_WORDS):
                    for line in whole.split(b"\n"):
                        if any(word in line for word in LOG_WORDS):
                            lines += 1
                            if lines > MAX_LOG_LINES:
                                raise SizingError("--engine-log", "mais de %d linhas de início: "
                                                  "recorte a do motor" % MAX_LOG_LINES, value=path)
                            yield re.sub(r"\x1b\[[0-9;]*m|(?<=[0-9]),(?=[0-9]{3})", "",
                                         line.decode("utf-8", "replace"))
    except (OSError, ValueError) as error:  # ValueError: caminho com byte nulo
        why = os_reason(error) if isinstance(error, OSError) else "não é um caminho de arquivo"
        raise SizingError("--engine-log", why + "; espera-se o log de um vllm serve",
                          value=path) from None


def log_starts(lines: Iterable[str]) -> Iterator[Json]:
    """O que diz cada início; outro começa nos argumentos, ou em quem já tinha começado."""
    start: Json = {}
    processes: dict[str, str] = {}
    engines: set[str] = set()
    for line in lines:
        engine = re.search(r"LLM engine \(v([\w.+-]{1,40})\) with config: model='([^']{,99})", line)
        named = re.search(r"\((?!Ray)([^()]*)\bpid=([0-9]+)", line)
        name, pid = named.groups() if named else ("", "")
        again = name in engines if engine else "non-default args" in line and start
        if again or processes.get(name, pid) != pid:
            yield start
            start, processes, engines = {}, {}, set()
        processes[name] = pid
        if engine:
            engines.add(name)
            start["version"], start["model"] = map(one_line, engine.groups())
        if re.search(LOG_ARGUMENTS, line):
            start.update(log_settings(line))
        for key, pattern, chosen in LOG_LINES:
            match = re.search(pattern.replace("NUMBER", LOG_NUMBER), line)
            if match:
                start[key] = chosen(start.get(key, Fraction(match[1])), Fraction(match[1]))
    yield start


def log_settings(line: str) -> Json:
    """Os argumentos de uma linha que os diz, como texto, menos os que o motor escolhe."""
    for wording, name in LOG_WORDINGS:
        line = re.sub(wording, name, line)
    found = {name: re.search(r"\b%s'?(?:=|: )'?(\w+(?:\.[0-9]+)?)" % name, line)
             for name in (*LOG_FLAGS, *LOG_SIZED)}
    return {name: match[1] for name, match in found.items()
            if match and match[1] not in ("auto", "None")}


def engine_log_of(path: str) -> tuple[EngineLog, Json]:
    """(o último início que chegou ao KV, os argumentos dele). Levanta `SizingError`."""
    said: Json = {}
    count = number = known = 0
    for count, start in enumerate(log_starts(log_lines(path)), 1):
        known += len(start)
        if "kv_capacity_bytes" in start:
            number, said = count, start
    kv_gib = said.get("kv_capacity_bytes", 0)
    problems = ["nenhuma linha de memória de um vllm serve, em UTF-8"] * (not known)
    problems += ["falta a linha 'Available KV cache memory: N GiB', e sem ela não há teto a tirar "
                 "do log"] * (not said)
    problems += ["KV de %s GiB: o motor não iniciou" % decimal_text(kv_gib, 2)] * (kv_gib <= 0)
    problems += ["%s=%s não se dimensiona" % (name, said[name][:40])
                 for name, sized in LOG_SIZED.items()
                 if name in said and not re.fullmatch(sized, said[name])]
    if problems:
        raise SizingError("--engine-log", problems[0], value=path)
    figures: Json = {name: said[name] if name == "max_concurrency" else round(
        said[name] * (GIB if name.endswith("_bytes") else 1))
        for name, _, _ in LOG_LINES if name in said}
    return EngineLog(file=path, start=number, starts=count, version=said.get("version", ""),
                     model=said.get("model", ""), **figures,
                     flags=tuple([flag for name, flag in LOG_FLAGS.items() if name in said])), said


def take_log(given: Flags, values: Json) -> Json:
    """O campo da pergunta; `values` ganha o que o log diz. Levanta `SizingError` se o contradiz."""
    if "--engine-log" not in given:
        return {}
    log, said = engine_log_of(given["--engine-log"])
    for name, flag in LOG_FLAGS.items():
        if name in said:
            text = str(LOG_KV_PRECISIONS.get(said[name], said[name]))
            value = READERS[flag](flag, text)
            value = [value] if flag in VARIED else value
            if values.get(flag, value) not in (value, [None], None):
                raise SizingError(flag, "o log de --engine-log diz %s: tire a flag ou dê outro log"
                                  % text, value=given[flag])
            values[flag] = value
    lacking = [flag for flag in list(LOG_FLAGS.values())[:3] if values.get(flag) in (None, [None])]
    if lacking:
        raise SizingError("--engine-log", "é preciso dar %s, que o log não diz"
                          % " e ".join(lacking), value=log.file)
    return {"engine_log": log}


def hf_paths(path: str) -> tuple[str, str]:
    """(o config.json, a pasta) de uma pasta, de um arquivo de pesos dela ou do próprio."""
    folder, base = os.path.split(path)
    if os.path.isdir(path):
        folder = path
    elif not re.search(r"\.safetensors$|\.index\.json$|^hf_quant_config\.json$", base):
        return path, folder
    config = os.path.join(folder, "config.json")
    if not os.path.exists(config):
        raise SizingError(path, "a pasta não tem config.json")
    return config, folder


def folder_name(folder: str) -> str:
    """O nome da pasta; no cache do Hugging Face (models--dono--nome/snapshots/…), o do modelo."""
    names = os.path.abspath(folder).split(os.sep)
    if names[-2:-1] == ["snapshots"]:
        return names[-3].rpartition("--")[2]
    return names[-1]


def read_header(path: str) -> tuple[str, bytes, int]:
    """(arquivo, cabeçalho, bytes dos tensores) de um safetensors."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise SizingError(path, "espera-se um arquivo safetensors")
        with open(path, "rb") as file:
            size = os.path.getsize(path)
            length = header_length(path, file.read(8), size)
            return path, file.read(length), size - 8 - length
    except OSError as error:
        raise SizingError(path, os_reason(error) + "; espera-se um safetensors") from None


def downloaded(path: str) -> bool:
    """O arquivo não é o ponteiro que o Git LFS deixa no lugar dele."""
    if not os.path.isfile(path) or os.path.getsize(path) > 1024:
        return True
    with open(path, "rb") as file:
        return file.read(len(LFS_POINTER)) != LFS_POINTER


def shard_names(folder: str) -> list[str]:
    """Os `model*.safetensors` da pasta."""
    try:
        return sorted(name for name in os.listdir(folder or ".")
                      if re.fullmatch(r"model.*\.safetensors", name)
                      and downloaded(os.path.join(folder, name)))
    except OSError as error:
        raise SizingError(error.filename or folder, os_reason(error)) from None


def hf_weights(folder: str) -> Json:
    """`tensors` e `index_bytes` de `model_from_hf_config`: o mais exato que há na pasta."""
    index = os.path.join(folder, "model.safetensors.index.json")
    names = shard_names(folder)
    weight_map: Mapping[str, str] = {}
    if os.path.exists(index):
        document = parse_json(index, read_file(index, index, MAX_INDEX_BYTES))[0]
        if not names:
            return {"index_bytes": index_total_bytes(index, document)}
        weight_map = index_shards(index, document)
    if not names:
        return {}
    shards = sorted(set(weight_map.values()) or names)
    check_shards(folder, [*shards, *numbered_shards(shards)], names)
    gc.disable()  # varreria tudo de novo a cada tantos tensores
    try:
        tensors, file_of = stored_tensors(
            read_header(os.path.join(folder, name)) for name in shards)
    finally:
        gc.enable()
    check_index_tensors(index, weight_map, file_of)
    return {"tensors": tensors}


def read_config(path: str) -> Any:
    """O documento de um config.json; levanta `SizingError` se há uma chave repetida."""
    document, text, repeats = parse_json(path, read_file(path, path, MAX_CONFIG_BYTES))
    if repeats:
        raise next(repeated_keys(path, text))
    return document


def hf_quantization(folder: str) -> HfConfig | None:
    """O `hf_quant_config.json` da pasta, se há um."""
    path = os.path.join(folder, "hf_quant_config.json")
    if not os.path.exists(path):
        return None
    return HfConfig(path, read_config(path))


def hf_model(given: Flags, values: Json) -> tuple[Model, Json]:
    """(modelo, entrada de `models.json`) de --hf-config, verificada como as do catálogo."""
    path, folder = hf_paths(given["--hf-config"])
    config = read_config(path)
    stem = os.path.splitext(os.path.basename(path))[0]
    if stem == "config":
        stem = folder_name(folder)
    name = re.sub(r"[^\w./+-]", "-", stem.lower(), flags=re.A)[:80]
    weights_gib, contexts = values.get("--weights-gib"), values.get("--effective-context", [])
    weights = {"weights_bytes": ceil_div(weights_gib * GIB, 1)} if weights_gib else (
        hf_weights(folder))
    entry = model_from_hf_config(
        path, config, name or "modelo", context=contexts[0] if len(contexts) == 1 else None,
        beside=hf_quantization(folder), **weights)
    models, problems = check_document("models", {"models": [entry]})
    for place, value, expected in problems:
        raise SizingError(path, expected, path=place[2:], value=value)
    return models[0], entry


# O que dispensa a pergunta, com as únicas flags que aceita ao lado.
STANDALONE = {
    **dict.fromkeys(("--version", "--list", "--validate"),
                    "--json --csv --csv-excel --models-file --servers-file --storage-file"),
    "--print-model": "--json --hf-config --weights-gib --effective-context"}
# Flag → as que não se combinam com ela.
EXCLUSIVE = {"--hf-config": "--model --models-file", "--weights-gib": "--weights-precision",
             "--requests-per-second": "--concurrency", "--json": "--csv --csv-excel",
             "--html": "--json --csv --csv-excel --explain",
             "--csv": "--csv-excel", "--explain": "--csv --csv-excel --scenarios",
             "--scenarios": "--ha", "--disaggregated": "--calibrate-tpot-ms --engine-log",
             "--context-mix": "--effective-context --cached-tokens --calibrate-tpot-ms"}
# Flag → as que lhe dão efeito: é preciso dar uma delas.
NEEDED = {"--weights-gib": "--hf-config", "--acceptance-length": "--speculative-tokens",
          "--energy-price": "--years",
          "--years": "--node-price --energy-price",
          "--confidence": OBJECTIVE_FLAGS + " --requests-per-second"}
LOAD = {"--concurrency", "--requests-per-second"}
REQUEST = ("--input-tokens", "--cached-tokens", "--shared-prefix-tokens", "--output-tokens",
           "--context-mix")
CONTEXT = {"--effective-context", "--context-mix", "--input-tokens", "--cached-tokens"}
PRICES = {"--node-price", "--energy-price"}
CSV_FORMS = {"--csv", "--csv-excel"}
# Flag → o campo da pergunta, onde o valor entra como foi lido.
QUESTION_FIELDS = {
    "--requests-per-second": "requests_per_second", "--context-mix": "context_mix",
    "--input-tokens": "input_tokens", "--cached-tokens": "requested_cached_tokens",
    "--output-tokens": "requested_output_tokens",
    "--shared-prefix-tokens": "shared_prefix_tokens", "--max-tpot-ms": "max_tpot_ms",
    "--min-tokens-per-second": "min_tokens_per_second", "--max-ttft-ms": "max_ttft_ms",
    "--max-ttft-p95-ms": "max_ttft_p95_ms",
    "--confidence": "confidence", "--nodes": "nodes", "--calibrate-tpot-ms": "calibration",
    "--kv-budget-ratio": "kv_budget_ratio",
    "--runtime-overhead-gib": "requested_runtime_overhead_gib",
    "--peak-headroom-ratio": "peak_headroom_ratio", "--disaggregated": "disaggregated",
    "--gpu-memory-utilization": "gpu_memory_utilization",
    "--pipeline-parallel": "pipeline_parallel", "--max-num-seqs": "requested_max_num_seqs",
    "--max-num-batched-tokens": "requested_max_num_batched_tokens",
    "--speculative-tokens": "speculative_tokens",
    "--acceptance-length": "requested_acceptance_length", "--pue": "pue",
    "--energy-price": "energy_price", "--years": "years"}


def refuse_pairs(given: Flags, exclusive: Mapping[str, str]) -> None:
    for flag, others in exclusive.items():
        for other in others.split():
            if flag in given and other in given:
                raise SizingError(flag, "não se combina com " + other)


def check_combination(given: Flags) -> None:
    """Recusa flags que faltam, sem efeito ou que não se combinam."""
    model = "--hf-config" if "--hf-config" in given else "--model"
    missing = [flag for flag in (model, "--server") if flag not in given]
    if missing:
        raise SizingError("pergunta incompleta", "falta%s %s; veja --help" % (
            "" if len(missing) == 1 else "m", ", ".join(missing)))
    for flag, others in NEEDED.items():
        if flag in given and not given.keys() & set(others.split()):
            raise SizingError(flag, "só tem efeito com " + " ou ".join(others.split()))
    exclusive = dict(EXCLUSIVE)
    if "--nodes" in given and given.keys() & LOAD:
        exclusive["--nodes"] = "--calibrate-tpot-ms"  # medido num contexto
        if given.keys() & CONTEXT:
            exclusive["--nodes"] = "--peak-headroom-ratio --ha --scenarios"
    refuse_pairs(given, exclusive)
    several = [flag for flag in VARIED if re.search("(?i),|^all$", given.get(flag, ""))]
    for flag in ("--explain", "--scenarios", "--calibrate-tpot-ms", "--engine-log"):
        if flag in given and several:
            raise SizingError(flag, "não aceita comparar: dê um só valor a " + several[0])
    if given.get("--sort", "").lower() == "total" and not given.keys() & PRICES:
        raise SizingError("--sort", "só tem efeito com " + " ou ".join(sorted(PRICES)),
                          value=given["--sort"])
    if "--sort" in given and not (several or "--scenarios" in given):
        raise SizingError("--sort", "só tem efeito numa comparação: dê uma lista, como --server "
                          "dgx300,dgx200")


def named(kind: str, flag: str, names: str, entries: Sequence[Any]) -> list[Any]:
    """As entradas de um catálogo que uma flag nomeia; `all` são todas."""
    found: list[Any] = []
    for name in names.split(","):
        more = entries if name.strip().lower() == "all" else [
            find_entry(kind, flag, name, entries)]
        if set(map(id, more)) & set(map(id, found)):
            raise SizingError(flag, "o %s se repete na lista" % CATALOGUES[kind].singular,
                              value=name)
        found += more
    return found


def named_alone(given: Flags, kind: str, flag: str, names: str) -> list[Any]:
    """As entradas que uma flag nomeia, sem conferir as outras de fábrica."""
    return named(kind, flag, names, require_catalogue(given, kind, names.split(",")))


@dataclass(frozen=True, eq=False)
class Asked:
    """O que as flags perguntam: cada modelo em cada servidor, com tudo o que as linhas variam."""

    pairs: list[tuple[Model, Server]]
    weights_precisions: list[str | None]  # None: a do checkpoint
    tensor_parallels: list[int | None]  # None: auto
    contexts: list[int]  # vazia: a soma do pedido, ou o máximo de cada modelo
    kv_precisions: list[str]  # vazia: a de cada modelo
    concurrencies: list[int | None]
    ha_modes: list[str]
    storages: list[Storage]
    prices: dict[str, Fraction]  # nome do servidor → preço de um nó; vazio: não se deu nenhum
    servers: list[Server]  # todos os do catálogo: os que caberiam, ou que mudariam a resposta
    fields: Json  # os outros campos da pergunta

    def count(self) -> int:
        """As linhas, sem contar cenários."""
        count = 1
        for choices in (self.pairs, self.weights_precisions, self.tensor_parallels, self.contexts,
                        self.kv_precisions, self.concurrencies, self.ha_modes, self.storages):
            count *= len(choices) or 1
        return count

    def fields_on(self, server: Server) -> Json:
        """Os outros campos num servidor.

        O servidor sem preço, se outros o têm, fica sem custo: só a energia não se compararia.
        """
        if not self.prices:
            return self.fields
        if server.name in self.prices:
            return dict(self.fields, node_price=self.prices[server.name])
        return {name: value for name, value in self.fields.items()
                if name not in ("energy_price", "years")}

    def replicas(self) -> Iterator[Callable[[], Iterator[Question]]]:
        """As perguntas com as mesmas réplicas e capacidades diferentes, com a primeira carga."""
        return (partial(self.bases, *choice) for choice in product(
            self.pairs, self.weights_precisions, self.tensor_parallels))

    def bases(self, pair: tuple[Model, Server], weights_precision: str | None,
              tensor_parallel: int | None) -> Iterator[Question]:
        model, server = pair
        contexts: Sequence[int | None] = self.contexts or [None]
        for context, precision in product(
                contexts, self.kv_precisions or [model.default_kv_precision]):
            yield Question(
                model=model, server=server, requested_weights_precision=weights_precision,
                tensor_parallel=tensor_parallel, requested_context=context, kv_precision=precision,
                concurrency=self.concurrencies[0], ha_mode=self.ha_modes[0],
                storage=self.storages[0], **self.fields_on(server))


# Linhas de uma comparação; de uma página, que se desenha inteira.
MAX_ROWS, MAX_HTML_ROWS = 100 * 1000, 10 * 1000


def require_few_rows(given: Flags, choices: Sequence[Sequence[Any]]) -> None:
    """Levanta `SizingError` se as combinações são demais, antes de qualquer conta."""
    rows = prod(len(values) or 1 for values in choices) * (3 if "--scenarios" in given else 1)
    limit = MAX_HTML_ROWS if "--html" in given else MAX_ROWS
    if rows > limit:
        raise SizingError("comparação", "%d combinações, e o máximo%s é %d: encurte as listas, ou "
                          "divida-as em várias execuções" % (
                              rows, " com --html" * ("--html" in given), limit))


def prices_of(prices: Sequence[tuple[str, Fraction]], servers: Sequence[Server],
              known: Sequence[Server]) -> dict[str, Fraction]:
    """Nome de cada servidor → o seu preço. Levanta `SizingError` se um preço sobra ou se repete."""
    compared = {server.name for server in servers}
    found: dict[str, Fraction] = {}
    for name, price in prices:
        if not name:
            return dict.fromkeys(compared, price)
        server = find_entry("servers", "--node-price", name, known)
        if server.name not in compared:
            raise SizingError("--node-price", "sem efeito: %s não está em --server" % server.name,
                              value=name)
        if server.name in found:
            raise SizingError("--node-price", "o preço de %s se repete" % server.name, value=name)
        found[server.name] = price
    return found


def asked_by(given: Flags) -> Asked:
    """Levanta `SizingError` se uma flag ou um catálogo está errado."""
    check_combination(given)
    values = values_of(given)  # antes dos catálogos: uma flag errada vale mais
    if "--hf-config" in given:
        models = [hf_model(given, values)[0]]
    else:
        models = named_alone(given, "models", "--model", given["--model"])
    known = require_catalogue(given, "servers")  # todos: também os que caberiam, na resposta
    servers = named("servers", "--server", given["--server"], known)
    storages = named_alone(given, "storage", "--storage",
                           given.get("--storage", "profile_default"))
    fields = take_log(given, values)
    fields.update({
        field: values[flag] for flag, field in QUESTION_FIELDS.items() if flag in values})
    contexts = values.get("--effective-context", [])
    if not given.keys() & LOAD:
        fields.setdefault("nodes", 1)
    elif "--nodes" in given and given.keys() & CONTEXT:
        fields["peak_headroom_ratio"] = Fraction(0)  # a carga fixa se toma ao pé da letra
    varied = [values.get(flag, []) for flag in (
        "--weights-precision", "--tensor-parallel", "--effective-context", "--kv-precision",
        "--concurrency", "--ha")]
    require_few_rows(given, [models, servers, storages, *varied])
    return Asked(pairs=list(product(models, servers)), contexts=contexts,
                 weights_precisions=values.get("--weights-precision", [None]),
                 tensor_parallels=values.get("--tensor-parallel", [None]),
                 kv_precisions=values.get("--kv-precision", []),
                 concurrencies=values.get("--concurrency", [None]),
                 ha_modes=values.get("--ha", ["none"]), storages=storages, fields=fields,
                 prices=prices_of(values.get("--node-price", []), servers, known), servers=known)


IDEAL_HEADROOM_RATIO, IDEAL_KV_BUDGET_RATIO = Fraction(30, 100), Fraction(65, 100)


def scenarios_of(q: Question) -> dict[str, Question]:
    """Os três cenários: sem folga; com o pico e n+1; e com 30%, n+2 e até 65% da HBM para KV."""
    return {
        "mínimo": replace(q, peak_headroom_ratio=Fraction(0), ha_mode="none"),
        RECOMMENDED: replace(q, ha_mode="n+1"),
        "ideal": replace(q, ha_mode="n+2", kv_budget_ratio=min(
            q.kv_budget_ratio, IDEAL_KV_BUDGET_RATIO), peak_headroom_ratio=max(
            q.peak_headroom_ratio, IDEAL_HEADROOM_RATIO))}


MAX_HELD = 1000  # capacidades que se guardam; de mais contextos, as outras se refazem


def rows_of(given: Flags, asked: Asked) -> Iterator[Row]:
    """As linhas; o que não depende da carga se calcula uma vez para todas as cargas.

    A capacidade de um modelo num servidor, com o contexto, o KV, os pesos e o tp de uma linha,
    serve a todas as cargas e storages.
    """
    for bases in asked.replicas():
        held: dict[int, tuple[Question, Capacity | SizingError | None]] = {}
        for concurrency in asked.concurrencies:
            for index, fresh in enumerate(bases()):
                base, capacity = held.get(index) or (fresh, capacity_or_refusal(given, fresh))
                if len(held) < MAX_HELD and len(asked.concurrencies) > 1:
                    held[index] = base, capacity
                for ha_mode, storage in product(asked.ha_modes, asked.storages):
                    q = replace(base, concurrency=concurrency, ha_mode=ha_mode, storage=storage)
                    if "--scenarios" in given:
                        yield from scenario_rows(given, q)
                    else:
                        yield Row(q, outcome_of(given, q, capacity))


def scenario_rows(given: Flags, q: Question) -> Iterator[Row]:
    for scenario, changed in scenarios_of(q).items():
        yield Row(changed, outcome_of(given, changed, capacity_or_refusal(given, changed)),
                  scenario)


def capacity_or_refusal(given: Flags, q: Question) -> Capacity | SizingError | None:
    """A capacidade das perguntas que só diferem na carga; None se ela depende do que se busca."""
    try:
        require_room(given, q)
        refuse_useless(given, "--pue --energy-price", q.server.power_kw is None,
                       "falta power_kw no catálogo, em " + q.server.name)
        missing = missing_for_ceiling(q)
        # Antes de sugerir o que cabe, que com elas não se digitaria de volta.
        refuse_idle_flags(given, q, missing, missing_text(missing or missing_for_speed(q)))
        return None if q.asks == "context" or q.disaggregated == "auto" else capacity_of(q)
    except SizingError as error:
        return explained(error).with_traceback(None)


def require_room(given: Flags, q: Question) -> None:
    """Levanta `SizingError` se o pedido não cabe no contexto, ou não soma o que se pediu."""
    if q.request_fits:
        return
    flag = next((flag for flag in REQUEST if flag in given), "--effective-context")
    output, limit = q.output_tokens, q.model.max_position_embeddings
    shortest = q.lengths[0][0]
    if q.effective_context > limit:
        why = "%s, acima do máximo de %s, %d" % (
            "o pedido soma %d tokens" % q.effective_context if q.context_source == "request"
            else "a mais longa tem %d tokens" % q.effective_context, q.model.name, limit)
    else:
        why = "com a saída de %d%s%s, não cabe no contexto de %s" % (
            output, " e %d novos" % q.input_tokens if q.input_tokens else "",
            " e %d em cache" % q.kept_tokens if q.kept_tokens else "",
            plural(shortest, "token"))
        if None not in (q.input_tokens, q.requested_cached_tokens) and q.context_source == "flag":
            total = (q.input_tokens or 0) + q.kept_tokens + output
            if total < shortest:
                why = "o pedido soma %d tokens, e --effective-context diz %d: dê só um" % (
                    total, shortest)
    cached, common = q.requested_cached_tokens, q.shared_prefix_tokens
    if cached is not None and cached < common:
        flag, why = "--shared-prefix-tokens", "passa dos %d em cache de --cached-tokens" % cached
    raise SizingError(flag, why, value=given.get(flag, str(output)))


def outcome_of(given: Flags, q: Question,
               capacity: Capacity | SizingError | None) -> SizingResult | SizingError:
    """A resposta a uma pergunta; recusada também se uma flag não teve efeito."""
    if isinstance(capacity, SizingError):
        return capacity
    try:
        r = size(q, capacity)
        refuse_idle_flags(given, q, r.capacity.missing, speed_gap(r))
        return r
    except SizingError as error:
        return explained(error).with_traceback(None)


def refuse_idle_flags(given: Flags, q: Question, missing: Sequence[str], gap: str) -> None:
    """Levanta `SizingError` se uma flag só serviria ao teto ou à velocidade, que não há."""
    request = "" if q.context_source == "request" else "--input-tokens --output-tokens "
    refuse_useless(given, request + "--acceptance-length", gap,
                   "não há velocidade prevista, " + gap)
    refuse_useless(given, "--acceptance-length", not q.speculative_tokens,
                   "--speculative-tokens é 0")
    asked = {"--tensor-parallel": q.tensor_parallel, "--pipeline-parallel": q.pipeline_parallel,
             "--speculative-tokens": q.speculative_tokens}
    refuse_useless(given, " ".join(["--engine-log --gpu-memory-utilization --weights-precision "
                                    "--max-num-seqs --max-num-batched-tokens",
                                    *(flag for flag, value in asked.items() if value)]),
                   missing, "para o teto físico " + missing_text(missing))


def refuse_useless(given: Flags, flags: str, useless: Any, why: str) -> None:
    for flag in flags.split() if useless else ():
        if flag in given:
            raise SizingError(flag, "sem efeito: " + why)


def with_an_answer(rows: Iterator[Row]) -> Iterator[Row]:
    """As mesmas linhas. Levanta `SizingError` se nenhuma delas tem resposta."""
    refused: list[Row] = []
    for row in rows:
        if not isinstance(row.outcome, SizingError):
            return chain(refused, [row], rows)
        refused.append(row)
    errors = [row.outcome for row in refused if isinstance(row.outcome, SizingError)]
    error = min(errors, key=lambda error: error.status != 3)
    raise saying(error, "nenhuma das %d combinações tem resposta; por exemplo: %s" % (
        len(errors), error.expected))


def with_progress(given: Flags, rows: Iterable[Row], total: int) -> Iterator[Row]:
    """As mesmas linhas, com o andamento num terminal em que nada mais se escreva."""
    streamed = given.keys() & {"--json", *CSV_FORMS} and sys.stdout and sys.stdout.isatty()
    shown = total > 250 and not streamed and sys.stderr and sys.stderr.isatty()
    for done, row in enumerate(rows, 1):
        if shown and (done % 250 == 0 or done == total):
            sys.stderr.write("\r%d de %d%s" % (done, total, "\n" if done == total else ""))
            sys.stderr.flush()
        yield row


def json_text(document: Any, ascii_only: bool) -> str:
    return json.dumps(document, ensure_ascii=ascii_only, indent=2) + "\n"


def html_text(page: str, ascii_only: bool) -> str:
    return page.encode("ascii", "xmlcharrefreplace").decode() if ascii_only else page


def sized(given: Flags, ascii_only: bool) -> Iterable[str]:
    """A saída da pergunta das flags, aos pedaços. Levanta `SizingError`."""
    asked, sort = asked_by(given), given.get("--sort", "").lower()
    rows = rows_of(given, asked)
    if asked.count() == 1 and "--scenarios" not in given:
        return single_answer(given, next(rows), asked.servers, ascii_only)
    rows = with_an_answer(with_progress(given, rows, asked.count()))
    if given.keys() & CSV_FORMS:
        return csv_lines(rows, sort, "--csv-excel" in given)
    if "--json" in given:
        return json_lines(rows, sort, ascii_only)
    # Com o preço de cada servidor, o melhor é o mais barato.
    cheapest = "total" if "=" in given.get("--node-price", "") else "power_kw"
    if "--html" in given:
        return html_text(html_comparison(rows, sort, list(given), cheapest, asked.servers),
                         ascii_only)
    comparison = comparison_of(rows, sort, list(given), cheapest)
    return comparison_text(comparison, list(given))


def single_answer(given: Flags, row: Row, servers: Sequence[Server],
                  ascii_only: bool) -> Iterable[str]:
    """A resposta a uma só pergunta; a recusa diz o que caberia."""
    r = row.outcome
    if isinstance(r, NothingFits):
        raise saying(r, r.expected + ways_out(r, servers))
    if isinstance(r, SizingError):
        raise r
    if given.keys() & CSV_FORMS:
        return csv_lines([row], "", "--csv-excel" in given)
    if "--html" in given:
        return html_text(html_page(r, servers), ascii_only)
    if "--explain" not in given:
        return (json_text(json_document(r), ascii_only) if "--json" in given
                else text_report(r, servers))
    explanation = explanation_of(r, servers)
    if "--json" in given:
        return json_text(dict(json_document(r), explanation=explanation), ascii_only)
    return explanation_text(r, explanation)


def standalone(given: Flags, action: str) -> tuple[Any, str]:
    """(documento, texto) do que dispensa a pergunta; sem texto, só há o documento."""
    if action == "--version":
        return {"version": __version__}, "sizing.py %s\n" % __version__
    values = values_of(given)
    if action == "--list":
        kind = values["--list"]
        entries = require_catalogue(given, kind)
        table = catalogue_table(kind, entries) + joined_text(given, kind, entries)
        return list(map(entry_json, entries)), table
    if action == "--validate":
        return validated(given)
    if "--hf-config" not in given:
        raise SizingError(action, "precisa de --hf-config")
    return hf_model(given, values)[1], ""


def joined_text(given: Flags, kind: str, entries: Sequence[Any]) -> str:
    """De que arquivo vieram as primeiras entradas, se um foi dado, e o que elas substituem."""
    if "--%s-file" % kind not in given:
        return ""
    taken = [entry.name for entry in entries if entry.overrides]
    text = "As primeiras são de %s; depois, as de fábrica%s." % (
        one_line(given["--%s-file" % kind]),
        "; no lugar de uma delas: " + ", ".join(taken) if taken else "")
    return "\n".join(["", *folded(text, 2)]) + "\n"


def validated(given: Flags) -> tuple[Json, str]:
    """Todos os problemas dos catálogos ou, se não há nenhum, quantas entradas cada um tem."""
    problems: list[str] = []
    sound = []
    for kind in CATALOGUES:
        files = catalogue_files(given, kind)
        loaded = [read_entries(kind, path, shown) for path, shown in files]
        for (_, shown), (entries, found) in zip(files, loaded):
            problems += map(str, found)
            sound.append("%s: ok, %s" % (one_line(shown), plural(len(entries), "entrada")))
        taken = [entry.name for entry in joined_files(files, loaded) if entry.overrides]
        if taken:
            sound.append("  no lugar das de fábrica: " + ", ".join(taken))
    return ({"schema_version": 1, "problems": problems}, "\n".join(problems or sound) + "\n")


def answer(given: Flags, ascii_only: bool) -> tuple[Iterable[str], int]:
    """(saída padrão, aos pedaços; status) das flags."""
    if "--help" in given:
        return build_parser().format_help(), 0
    action = next((flag for flag in STANDALONE if flag in given), "")
    if not action:
        return sized(given, ascii_only), 0
    for flag in given:
        if flag not in (action, *STANDALONE[action].split()):
            raise SizingError(flag, "não tem efeito com " + action)
    refuse_pairs(given, EXCLUSIVE)
    document, text = standalone(given, action)
    status = 2 if action == "--validate" and document["problems"] else 0
    if given.keys() & CSV_FORMS:
        return plain_csv(document if isinstance(document, list) else [document],
                         "--csv-excel" in given), status
    if "--json" in given or not text:
        return json_text(document, ascii_only), status
    return text, status


# O que a codificação da saída não tem → o que se escreve no lugar; da letra acentuada, a letra.
PLAIN = {"▓": "%", "▒": "=", "█": "#", "░": "-", "→": ">", "×": "x", "…": ".", "·": ".",
         "≥": ">", "≤": "<"}


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


def write(pieces: Iterable[str]) -> int:
    """Escreve na saída padrão; devolve o status."""
    if sys.stdout is None:
        complain("a saída padrão está fechada")
        return 1
    sys.stdout.writelines([pieces] if isinstance(pieces, str) else pieces)
    sys.stdout.flush()
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Executa a linha de comando; devolve o status, 1 se a saída não pôde ser escrita."""
    utf8 = "utf" in str(getattr(sys.stdout, "encoding", "")).lower()
    codecs.register_error("plain", plain_character)
    streams: Any = (sys.stdout, sys.stderr)
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="plain")
    try:
        given = parse_arguments(sys.argv[1:] if argv is None else argv)
        if "--csv-excel" in given and hasattr(streams[0], "reconfigure"):
            streams[0].reconfigure(encoding="utf-8", newline="")  # o que a marca promete
        pieces, status = answer(given, not utf8)
        return write(pieces) or status
    except SizingError as error:
        complain(str(error))
        return error.status
    except BrokenPipeError:
        pass  # o leitor, como `head`, já tem o que queria
    except OSError as error:
        complain("a saída não pôde ser escrita: " + os_reason(error))
    return 1


if __name__ == "__main__":
    # Tudo já foi escrito: desmontar o interpretador custaria 10% da execução e, com a saída
    # quebrada, uma segunda mensagem.
    os._exit(main())
