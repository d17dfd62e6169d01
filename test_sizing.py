#!/usr/bin/env python3
"""Testes do sizing.py: `python3 test_sizing.py` roda tudo e termina em `N passed, N failed`.

Onde só a resposta importa, `run` chama `main` neste processo, com as saídas, o status e os erros de
um processo de verdade; com `--subprocess`, roda tudo como o usuário. O que é da interface (pipes,
terminais, diretórios, Ctrl-C, os comandos dos documentos) é sempre um processo. O que se usa de
dentro do módulo, para milhares de casos por segundo, passa pela seção Adaptação.

`python3 test_sizing.py Interface` roda as classes cujo nome contém a palavra, `Interface.test_json`
só um teste, e com `--parar` só até a primeira falha; `--atualizar-docs` reescreve as saídas
mostradas nos documentos.
"""
import collections
import contextlib
import csv
import dataclasses
import decimal
import difflib
import doctest
import functools
import gc
import html.parser
import io
import itertools
import json
import math
import operator
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
import unittest.mock
from fractions import Fraction

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(ROOT, "sizing.py")
DOCUMENTS = ("README.md", "QUICKREF.md", "USE_CASES.md")
sys.path.insert(0, ROOT)

import sizing  # noqa: E402

ROOTS = {"models": "models", "servers": "servers", "storage": "profiles"}
WARNINGS = (  # na ordem do README
    "objective_at_risk", "catalogue_override", "context_clamped", "single_node", "idle_nodes",
    "tight_capacity", "slow_decode", "heavy_prefill", "speculation_slower", "far_calibration",
    "engine_log_model", "far_engine_log", "engine_log_sequences",
    "no_speed", "no_ceiling", "unserved_gpu", "replica_spans_nodes", "assumed",
    "high_budget_ratio",
    "int8_scales", "network_storage", "cloud_storage", "kv_16bit")
BASE = {"model": "opt-oss-120b", "server": "dgx300", "concurrency": 1000,
        "effective_context": 131072}


# ── Ferramentas ───────────────────────────────────────────────────────────────────────────────


SUBPROCESS = False  # --subprocess


def run(*args, **options):
    """A execução terminada de `sizing.py args…`, com `returncode`, `stdout` e `stderr`."""
    args = list(map(str, args))
    # Um processo não recebe um argumento com byte nulo.
    if (SUBPROCESS and "\0" not in "".join(args)) or options:
        return process(*args, **options)
    return in_this_process(args)


def rounds(full, quick):
    """Quantos casos ao acaso: todos com --subprocess, e no dia a dia os que bastam."""
    return full if SUBPROCESS else quick


def process(*args, **options):
    """O mesmo num processo; `options` vão para `subprocess.run`."""
    return subprocess.run([sys.executable, SCRIPT, *map(str, args)], capture_output=True,
                          encoding="utf-8", timeout=60,
                          **dict({"env": utf8_environment()}, **options))


def in_this_process(args):
    """O mesmo com `main` neste processo: nada passa de uma execução à outra."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors, newline="\n")
               for errors in ("strict", "backslashreplace")]
    outputs = [stream.buffer for stream in streams]
    kept = sys.argv, sys.stdout, sys.stderr, os.getcwd(), dict(os.environ)
    sys.argv, (sys.stdout, sys.stderr) = [SCRIPT, *args], streams
    try:
        status = sizing.main(args)
    except SystemExit as error:
        status = error.code
    except Exception:
        traceback.print_exc()
        status = 1
    finally:
        sys.argv, sys.stdout, sys.stderr, folder, environment = kept
        if folder != os.getcwd() or environment != os.environ:
            raise AssertionError("a execução mudou o diretório ou o ambiente")
    texts = []
    for stream, output in zip(streams, outputs):
        stream.flush()
        texts.append(output.getvalue().decode("utf-8").replace("\r\n", "\n").replace("\r", "\n"))
    return subprocess.CompletedProcess(args, status, *texts)


LOAD_CATALOGUE = sizing.load_catalogue


@functools.lru_cache(maxsize=16)
def catalogue_once(kind, file, data):
    """O de `load_catalogue`; as entradas não se alteram, e no dia a dia se leem uma só vez."""
    return tuple(map(tuple, LOAD_CATALOGUE(kind, file, data)))


def load_once(kind, file, data, names=()):
    """`load_catalogue` de todas as entradas, com as listas de quem a chamou."""
    return tuple(map(list, catalogue_once(kind, file, data)))


def utf8_environment(**changes):
    """O ambiente deste processo com a saída em UTF-8 e as mudanças pedidas."""
    return dict(os.environ, **dict({"PYTHONIOENCODING": "utf-8"}, **changes))


def flags(question):
    """{"kv_precision": "fp8"} → ["--kv-precision=fp8"]."""
    return ["--%s=%s" % (name.replace("_", "-"), value) for name, value in question.items()]


def catalogue(kind):
    """O catálogo do repositório como documento, para os testes mudarem uma cópia."""
    with open(os.path.join(ROOT, kind + ".json"), encoding="utf-8") as file:
        return json.load(file)


def text_of(name):
    """O texto de um documento do repositório."""
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def listed(kind, name, document=None):
    """O objeto JSON de uma entrada, pelo nome, no catálogo do repositório ou neste documento."""
    return next(entry for entry in (document or catalogue(kind))[ROOTS[kind]]
                if name.lower() in (known.lower() for known in (
                    entry["name"], entry.get("hf_id") or "", *entry.get("aliases", ()))))


class Described:
    """As chaves de um objeto JSON como atributos; None nas que faltam."""

    def __init__(self, raw):
        self.raw = raw

    def __getattr__(self, name):
        return self.raw.get(name)


@contextlib.contextmanager
def temporary_file(content):
    """O caminho de um arquivo com este conteúdo: bytes, ou um documento JSON."""
    if not isinstance(content, bytes):
        content = json.dumps(content, ensure_ascii=False, indent=1).encode("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "catalogo.json")
        with open(path, "wb") as file:
            file.write(content)
        yield path


# ── Adaptação ─────────────────────────────────────────────────────────────────────────────────
# Tudo o que os testes usam de dentro do módulo: o que se repete milhares de vezes e as grandezas
# que nenhuma saída mostra. O resto deste arquivo só conhece a linha de comando e os nomes daqui.

SizingError = sizing.SizingError  # com `status` 2 ou 3
REQUESTED = {field.name for field in dataclasses.fields(sizing.Question)
             if field.name.startswith("requested_")}
Answer = collections.namedtuple("Answer", (
    "asks question sessions unit limited_by concurrency peak_sessions nodes_minimum "
    "nodes_with_headroom nodes_final context kv_bytes budget_bytes internal"))


NEAR_FLAGS = sizing.NEAR_FLAGS  # palavra → as flags que ela quer dizer


def loaded(kind, data):
    """(entradas, problemas por extenso) de um catálogo em bytes."""
    entries, problems = sizing.load_catalogue(kind, "arquivo.json", data)
    return entries, list(map(str, problems))


def loaded_alone(kind, document, *names):
    """(nomes das entradas, problemas por extenso) do que uma pergunta com estes nomes confere."""
    data = json.dumps(document, indent=1).encode()
    entries, problems = LOAD_CATALOGUE(kind, "arquivo.json", data, names)
    return [entry.name for entry in entries], list(map(str, problems))


def entry_of(kind, raw):
    """A entrada de um catálogo só com este objeto JSON."""
    return entry_of_text(kind, json.dumps({ROOTS[kind]: [raw]}))


@functools.lru_cache(maxsize=16)
def entry_of_text(kind, text):
    """A entrada deste catálogo, de uma só."""
    (entry,), problems = loaded(kind, text.encode())
    assert not problems, problems
    return entry


@functools.lru_cache(maxsize=None)
def entries_of(kind):
    """As entradas de um catálogo do repositório."""
    with open(os.path.join(ROOT, kind + ".json"), "rb") as file:
        return loaded(kind, file.read())[0]


@functools.lru_cache(maxsize=None)
def in_catalogue(kind, name):
    """A entrada do catálogo do repositório com este nome ou apelido."""
    return sizing.find_entry(kind, kind, name, entries_of(kind))


def changed(record, **changes):
    """Uma cópia de uma pergunta ou entrada com outros campos."""
    asked = isinstance(record, sizing.Question)
    return dataclasses.replace(record, **(field_names(changes) if asked else changes))


def field_names(choices):
    """Os nomes das flags → os dos campos da pergunta."""
    return {"requested_" + name if "requested_" + name in REQUESTED else name: value
            for name, value in choices.items()}


def asking(model, server, concurrency=1, context=1, **choices):
    """Uma pergunta com os padrões da linha de comando; o modelo e o servidor, ou os seus nomes."""
    model = in_catalogue("models", model) if isinstance(model, str) else model
    server = in_catalogue("servers", server) if isinstance(server, str) else server
    return sizing.Question(**field_names(dict(
        {"kv_precision": "fp8"}, model=model, server=server, requested_context=context or None,
        storage=in_catalogue("storage", "profile_default"), concurrency=concurrency or None,
        **choices)))


def answer(question):
    """A resposta a uma pergunta; levanta `SizingError`."""
    result = sizing.size(question)
    offer, asked = result.offer, result.question
    return Answer(
        result.asks, asked, offer.sessions_per_unit, offer.nodes_per_unit, offer.limited_by,
        result.concurrency, result.peak_sessions, result.nodes_minimum, result.nodes_with_headroom,
        result.nodes_final, asked.effective_context, sizing.kv_per_session_bytes(asked),
        sizing.kv_budget_bytes(asked), result)


def answer_to(question):
    """A resposta, ou None se nada cabe (status 3)."""
    try:
        return answer(question)
    except SizingError as error:
        if error.status != 3:
            raise
        return None


def nodes_for(question):
    """Os nós da resposta; infinitos se nada cabe."""
    try:
        return sizing.size(question).nodes_final
    except SizingError as error:
        if error.status != 3:
            raise
        return float("inf")


def refusal_of(question):
    """A recusa de status 3 por extenso, com o que caberia neste servidor."""
    try:
        answer(question)
    except SizingError as error:
        assert error.status == 3, error
        return str(sizing.explained(error)) + sizing.ways_out(error, ())
    raise AssertionError("há resposta")


def report_of(answer):
    """O relatório em texto."""
    return sizing.text_report(answer.internal)


def document_of(answer):
    """O documento JSON."""
    return sizing.json_document(answer.internal)


def explanation_of(answer):
    """(o bloco `explanation` do JSON, o texto de --explain)."""
    parts = sizing.explanation_of(answer.internal, [])
    return parts, sizing.explanation_text(answer.internal, parts)


number_text, decimal_text = sizing.number_text, sizing.decimal_text
size_text, seconds_text = sizing.size_text, sizing.seconds_text


def unseen_of(answer):
    """O que a página diz e o JSON não traz sem velocidade: os tokens de um pedido e as réplicas."""
    question = answer.question
    return {*question.ends, question.prompt_tokens - question.ends[0],
            answer.internal.offer.replicas_per_unit}


def paragraphs_of(answer):
    """Os parágrafos da página de --explain."""
    return sizing.plain_paragraphs(answer.internal)


def plain_page_of(answer):
    """As linhas da página de --explain, com a decisão."""
    return sizing.plain_page(answer.internal, paragraphs_of(answer))


def figures_of(answer):
    """Os números da explicação, cada um com a sua conta."""
    return sizing.figures_of(answer.internal)


def layouts_of(answer):
    """(leiaute, nós que ele compra, sessões do teto por unidade) do escolhido ao pior."""
    return [(str(offer.layout), offer.nodes_with_spares(answer.question),
             offer.layout.ceiling_sessions)
            for offer in answer.internal.offers]


def every_layout_of(answer):
    """(leiaute, nós da unidade, sessões do teto por unidade) de todos os comparados."""
    return [(str(offer.layout), offer.nodes_per_unit, offer.layout.ceiling_sessions)
            for offer in answer.internal.capacity.offers]


def ceilings_of(question):
    """{nós da unidade, de 1 a 8: as sessões do teto do melhor leiaute}."""
    ways = {nodes: sizing.spread_replicas(question, nodes) for nodes in range(2, 9)}
    ways[1] = sizing.replicas_in_a_node(question) + sizing.staged_replicas(question, 1)
    return {nodes: max([sizing.layout_of(question, item).ceiling_sessions for item in items],
                       default=0) for nodes, items in ways.items()}


def blocks_at(question, tp, pp=1):
    """Os blocos do cache numa GPU: `block_bytes`, `groups`, `held`, `reserved` e `shared`."""
    return sizing.blocks_of(question, tp, pp)


def tensor_parallel_ways(question):
    """Os tensor parallel possíveis num nó."""
    return sizing.tensor_parallel_ways(question, question.server.gpus)


def staged_at(question, nodes):
    """As réplicas em etapas de tantos nós: `tp` e `pp`."""
    pipe = collections.namedtuple("Pipe", "tp pp")
    return [pipe(item.tensor_parallel, item.pipeline_parallel)
            for item in sizing.staged_replicas(question, nodes)]


def replicas_at(question, tp, pp, nodes):
    """A réplica deste leiaute, e a mesma com tantos bytes para o motor, se tem uma sequência."""
    replica = sizing.replica_of(question, tp, pp, 1, nodes)

    def at_pool(pool_bytes):
        alone = Replica(question, sizing.layout_of(question, replica))
        taken = replica.weights_bytes + runtime_bytes(alone, question.requested_max_num_seqs or 1)
        resized = dataclasses.replace(replica, usable_bytes=taken + pool_bytes)
        return Replica(question, sizing.layout_of(question, resized))

    return replica, at_pool


class Replica:
    """Uma réplica de um leiaute sob a carga da pergunta: memória e velocidade.

    De n sessões: `tpot_ms`, `ttft_ms`, `breakdown_ms`, `latency_seconds` e
    `saturated_tokens_per_second`. De um prompt: `alone_seconds`, sozinho, e `prefill_seconds`.
    """

    def __init__(self, question, layout, tpot_scale=1.0):
        self.question, self.layout, self.tpot_scale = question, layout, tpot_scale
        self.sessions, self.per_unit = layout.sessions_per_replica, layout.replicas_per_unit
        self.tp, self.dp = layout.tensor_parallel, layout.data_parallel
        self.pp, self.nodes = layout.pipeline_parallel, layout.nodes_per_unit
        self.held, self.max_num_seqs = layout.sessions_held, layout.max_num_seqs
        self.logged, self.kv_blocks = layout.sessions_logged, layout.kv_blocks
        self.block_bytes, self.shared_blocks = layout.blocks.block_bytes, layout.shared_blocks
        self.held_blocks = layout.held_sizes[-1][0] + layout.shared_blocks
        self.reserved_blocks = layout.reserved_blocks
        self.weights_bytes = layout.weights_bytes
        self.session_bytes = layout.session_bytes_per_gpu
        self.runtime_bytes, self.usable_bytes = layout.runtime_bytes, layout.usable_bytes

    @functools.cached_property
    def speed(self):
        return sizing.speed_of(self.question, self.layout, 0, self.tpot_scale)

    def ttft_ms(self, sessions):
        return self.speed.time_ms("ttft", sessions)

    def __getattr__(self, name):
        return getattr(self.speed, name)

    def missed(self, sessions):
        """O objetivo que uma réplica com tantas sessões não atende: "tpot", "ttft" ou ""."""
        return self.speed.missed(self.question, sessions)

    def each_seconds(self, part):
        """O que cada sequência acrescenta a uma parcela do TPOT, em segundos."""
        few, more = (self.breakdown_ms(2**n * self.dp)[part] for n in (4, 5))
        return (more - few) / 2**4 / 1e3


def at(model, server, tp=1, dp=1, inputs=1000, outputs=1000, tpot_scale=1.0, **choices):
    """A réplica de um leiaute, com tantos tokens de entrada e de saída por pedido."""
    question = asking(model, server, 1, inputs + outputs, input_tokens=inputs,
                      output_tokens=outputs, **choices)
    layout = sizing.layout_of(question, sizing.replica_of(question, tp, 1, dp, 1))
    return Replica(question, layout, tpot_scale)


def replica_of(answer):
    """A réplica do leiaute escolhido."""
    offer = answer.internal.offer
    return Replica(answer.question, offer.layout, offer.tpot_scale)


def weight_bytes(question):
    """Os bytes dos pesos como o motor os guarda, sem o que cada GPU repete."""
    return sum(sizing.weight_bytes(question))


def runtime_bytes(replica, sessions):
    """O que o motor ocupa em cada GPU, além de pesos e KV, com tantas sequências."""
    parts = sizing.activation_parts(replica.question, replica.tp, replica.dp)
    return (sizing.activation_bytes(parts, sessions) + replica.layout.non_torch_bytes
            + graphs_bytes(replica.question, replica.pp, sessions))


def graphs_bytes(question, pp, sequences):
    """Os grafos CUDA de cada GPU, com tantas sequências."""
    captured = sizing.graphs_captured(question.server, sequences)
    return sizing.GRAPHS_BYTES + captured * sizing.graph_bytes(question, pp)


def first_session_bytes(question, tp):
    """O que cada GPU precisa ter para a primeira sessão: pesos, motor, reserva e o bloco nulo."""
    layout = sizing.layout_of(changed(question, max_num_seqs=1),
                              sizing.replica_of(question, tp, 1, 1, 1))
    blocks = (layout.reserved_blocks + 1) * layout.blocks.block_bytes
    return layout.weights_bytes + layout.runtime_bytes + blocks


def cache_group(kind, *shape, read_tokens=None):
    """Um grupo de camadas: tipo, camadas e dimensões, na ordem de `KINDS`."""
    fields = dict(zip(("layers", *sizing.KINDS[kind][0]), shape))
    return dataclasses.replace(sizing.group_of(kind, **fields), read_tokens=read_tokens)


def query_key_pairs(group, new, cached):
    """Os pares consulta-chave de uma camada no prefill de `new` tokens."""
    return group.pairs(new, cached)


def read_bytes(group, context, element_bytes):
    """Os bytes que um passo de decode lê de uma sessão."""
    return group.read_bytes(context, element_bytes)


def attention_flops(model, new, cached):
    """Os FLOPs da atenção de um modelo do catálogo no prefill de `new` tokens."""
    return sizing.attention_flops(in_catalogue("models", model), new, cached)


def indexer_flops(model, new, cached):
    """Os do indexador dela."""
    return sizing.indexer_flops(in_catalogue("models", model), new, cached)


def computing_flops(server, precision):
    """Os FLOP/s de um servidor do catálogo na precisão em que calcula estes pesos."""
    return sizing.tensor_peak(in_catalogue("servers", server), precision)[0]


def entry_from_config(config):
    """A entrada de models.json de um config.json; levanta `SizingError`."""
    return sizing.model_from_hf_config("config.json", config, "m")


def tensor_role(name, num_layers):
    """O papel de um tensor de um checkpoint com duas camadas MTP, pelo nome."""
    return sizing.tensor_role(name, range(num_layers, num_layers + 2))


def params_of_tensors(tensors, quantization):
    """Os parâmetros de um módulo: {nome: (tipo, forma)} com este quantization_config."""
    infos = [sizing.TensorInfo(name, *tensor) for name, tensor in tensors.items()]
    config = sizing.HfConfig("config.json", {"quantization_config": quantization})
    stored = sizing.stored_in(infos, range(0), sizing.declared_packing(config))
    return stored.params_by_role.get("dense", 0)


def sessions_fitting(room, sizes):
    """As sessões que cabem, de tamanhos sorteados: [(bytes, parte das sessões)], do menor."""
    return sizing.sessions_fitting(room, sizes)


def objective_verdict(name, limit, figure, covered=True):
    """O veredito de um objetivo numa carga com esta previsão (None: em fila)."""
    rate = "output_tokens_per_second_per_session"
    case = {"state": "nominal", "covered": covered, name: figure}
    if name == "tokens_per_second":
        case.update({rate: figure["estimate"], rate + "_range": figure})
    return sizing.objective_of(name, limit, case)["verdict"]


def session_bytes(model, context, kv_precision):
    """O KV de uma sessão, sem o limite de contexto do modelo."""
    return sizing.session_kv_bytes(model.kv_groups, context, kv_precision)


def blocks_of(model, server, kv_precision, tp, context, **choices):
    """(bytes do bloco, "camadas:tokens" de cada grupo, guardados, reservados) de uma sessão."""
    blocks = sizing.blocks_of(asking(model, server, 1, context, kv_precision=kv_precision,
                                     **choices), tp, 1)
    counts = collections.Counter((group.layers, group.block_tokens) for group in blocks.groups)
    shape = " ".join("%s%d:%d" % ("%dx" % count if count > 1 else "", *group)
                     for group, count in sorted(counts.items()))
    return blocks.block_bytes, shape, *blocks.of_session(context)


# ── O que todo teste usa ──────────────────────────────────────────────────────────────────────


class Case(unittest.TestCase):
    """Verificações comuns."""

    maxDiff = None

    def ok(self, *args, **options):
        """A saída padrão de uma execução que responde sem reclamar."""
        done = run(*args, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), args)
        return done.stdout

    def sized(self, *args, **changes):
        """O documento JSON da pergunta básica com as mudanças."""
        return json.loads(self.ok(*flags(dict(BASE, **changes)), *args, "--json"))

    def results(self, expected, **changes):
        """Confere campos de `results` e devolve o documento."""
        document = self.sized(**changes)
        seen = {key: document["results"][key] for key in expected}
        self.assertEqual(seen, expected)
        return document

    def codes(self, document):
        """Os códigos dos avisos, na ordem."""
        codes = [warning.split(":")[0] for warning in document["warnings"]]
        self.assertLessEqual(set(codes), set(WARNINGS))
        return codes

    def refused(self, args, *words, **options):
        """Status, saída padrão vazia e uma linha na saída de erros com todas as palavras."""
        status = options.pop("status", 2)
        done = run(*args, **options)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        return done.stderr

    def screen(self, text, most=22):
        """A primeira tela sem os avisos: começa na manchete, em 80 colunas e `most` linhas."""
        lines = text.splitlines()
        self.assertRegex(lines[0], r"^(COMPRE \d+ × |SEU \S.* MANTÉM|SEUS \d+ × )")
        self.assertLessEqual(max(map(len, lines)), 80, text)
        warned = [i for i, line in enumerate(lines) if line.startswith("! ")]
        ends = [i for i, line in enumerate(lines) if line.startswith(("Previsão", "Contas:"))]
        self.assertTrue(ends, text)
        body = lines[:(warned or ends)[0]] + lines[ends[0]:]
        self.assertLessEqual(len(body), most, text)
        return body


# ── Os oito cenários ──────────────────────────────────────────────────────────────────────────


class Cenarios(Case):
    """Cenários de referência"""

    def test_1(self):
        """Cenário Base (120B + DGX300 + FP8 + N+1 → 3 nós)"""
        self.results({"kv_per_session_bytes": 2418278400, "sessions_per_node": 613,
                      "nodes_minimum": 2, "nodes_with_headroom": 2, "nodes_final": 3},
                     kv_precision="fp8", ha="n+1", storage="profile_default")

    def test_2(self):
        """Cenário Econômico (20B + DGX200 + FP8 → 1 nó)"""
        question = {"model": "opt-oss-20b", "server": "dgx200", "effective_context": 32768}
        self.results({"sessions_per_node": 1740, "nodes_final": 1}, runtime_overhead_gib=80,
                     **question)
        self.results({"sessions_per_node": 1634, "nodes_final": 1}, **question)

    def test_3(self):
        """Alta Precisão FP16 (20B + DGX200 → 2 nós, o dobro da memória)"""
        question = {"model": "opt-oss-20b", "server": "dgx200", "concurrency": 500,
                    "effective_context": 65536}
        high = self.results({"sessions_per_node": 409, "nodes_final": 2}, kv_precision="fp16",
                            **question)
        low = self.sized(kv_precision="fp8", **question)
        self.assertEqual(high["results"]["kv_per_session_bytes"],
                         2 * low["results"]["kv_per_session_bytes"])
        self.assertIn("kv_16bit", self.codes(high))
        self.assertNotIn("kv_16bit", self.codes(low))

    def test_4(self):
        """Context Overflow (contexto acima do máximo é limitado, e dito)"""
        document = self.sized(concurrency=500, effective_context=999999)
        self.assertEqual(document["parameters"]["requested_context"], 999999)
        self.assertEqual(document["parameters"]["effective_context"], 131072)
        self.assertRegex(document["warnings"][0], "context_clamped: .*999999.*131072")
        self.assertEqual(document["results"], self.sized(concurrency=500)["results"])

    def test_5(self):
        """Storage de Rede (alertas com a latência e a partida a frio)"""
        document = self.sized(storage="profile_network_ssd")
        # 65,19 GB pelo carregador de 3 GB/s, mais 90 s; 2 nós dividem 12 GB/s e ainda sobra.
        self.assertIn("network_storage: profile_network_ssd, 12 GB/s divididos entre os nós, P99 "
                      "de 2 ms: partida a frio de 112 s (21.7 s de leitura); um nó volta em 112 s",
                      document["warnings"])
        self.assertEqual(document["results"], self.sized()["results"])

    def test_6(self):
        """Alta Concorrência (5000 sessões, pico de 30%, N+1 → 12 nós)"""
        self.results({"nodes_minimum": 9, "nodes_with_headroom": 11, "nodes_final": 12},
                     concurrency=5000, peak_headroom_ratio=0.30, ha="n+1")

    def test_7(self):
        """Contexto Pequeno (abaixo da janela, máxima eficiência)"""
        small = self.results({"kv_per_session_bytes": 2359296, "nodes_final": 1},
                             effective_context=64)
        self.assertGreater(small["results"]["sessions_per_node"], 250000)

    def test_8(self):
        """Cloud Storage (perfil premium)"""
        document = self.sized(storage="profile_cloud_premium")
        self.assertEqual(document["storage"]["latency_read_ms_p99"], 5)
        self.assertIn("cloud_storage: profile_cloud_premium, 4 GB/s por nó, P99 de 5 ms: partida "
                      "a frio de 112 s (21.7 s de leitura); um nó volta em 112 s",
                      document["warnings"])


# ── Valores ───────────────────────────────────────────────────────────────────────────────────


class Valores(Case):
    """Valores conferidos à mão e contas exatas"""

    def test_base_em_dgx200(self):
        """A base no DGX H200: 273 por nó, 4 → 5 → 6 nós"""
        self.results({"sessions_per_node": 273, "nodes_minimum": 4, "nodes_with_headroom": 5,
                      "nodes_final": 6}, server="dgx200", ha="n+1")

    def test_empresa(self):
        """Empresa: fp16, orçamento 0.65, reserva 150, pico 30%, N+1 → 276 por nó, 4 nós"""
        self.results({"sessions_per_node": 276, "nodes_final": 4}, concurrency=500,
                     kv_precision="fp16", kv_budget_ratio=0.65, runtime_overhead_gib=150,
                     peak_headroom_ratio=0.30, ha="n+1")

    def test_pesquisa(self):
        """Pesquisa: fp16, orçamento 0.75, reserva 60, pico 10% → 242 por nó, 1 nó"""
        document = self.results(
            {"sessions_per_node": 242, "nodes_final": 1}, model="opt-oss-20b", server="dgx200",
            concurrency=50, kv_precision="fp16", kv_budget_ratio=0.75, runtime_overhead_gib=60,
            peak_headroom_ratio=0.10)
        self.assertNotIn("high_budget_ratio", self.codes(document))  # 0.75 não passa de 0.75

    def test_serverless(self):
        """Serverless: 2000 × 32768, reserva 100, pico 40%, N+1 → 2482 por nó, 3 nós"""
        self.results({"sessions_per_node": 2482, "nodes_final": 3}, concurrency=2000,
                     effective_context=32768, runtime_overhead_gib=100, peak_headroom_ratio=0.40,
                     ha="n+1")

    def test_teto_exato(self):
        """1500 × 1.1 sobre 275 são 6 nós exatos; 200 × 1.1 sobre 220, 1 nó"""
        self.results({"sessions_per_node": 275, "peak_sessions": 1650, "nodes_with_headroom": 6,
                      "nodes_final": 6}, concurrency=1500, kv_precision="fp16",
                     runtime_overhead_gib=260, peak_headroom_ratio=0.1)
        self.results({"sessions_per_node": 220, "nodes_final": 1}, concurrency=200,
                     kv_precision="fp16", runtime_overhead_gib=510, peak_headroom_ratio=0.1)

    def test_piso_exato(self):
        """Um nó com HBM para exatamente 7 sessões admite 7; um byte a menos, 6"""
        # 2 camadas completas · 2 · 1 · 32 · 1000 tokens em fp8 = 128 000 bytes por sessão.
        models = {"models": [{
            "name": "t", "num_layers": 2, "num_key_value_heads": 1, "head_dim": 32,
            "max_position_embeddings": 1000, "attention_pattern": "full",
            "default_kv_precision": "fp8", "notes": "n", "source": "s"}]}
        # orçamento = 0.5 · HBM − 1 GiB; HBM = 2 · (1 GiB + 7 · 128 000) bytes = 2.149275648 GB
        servers = {"servers": [
            {"name": name, "gpus": 1, "hbm_per_gpu_gb": gb, "total_hbm_gb": gb, "notes": "n",
             "source": "s"} for name, gb in (("justo", 2.149275648), ("menor", 2.149275647))]}
        with temporary_file(models) as models_file, temporary_file(servers) as servers_file:
            for server, sessions in (("justo", 7), ("menor", 6)):
                document = self.sized(
                    model="t", server=server, effective_context=1000, kv_budget_ratio=0.5,
                    runtime_overhead_gib=1, models_file=models_file, servers_file=servers_file)
                self.assertEqual(document["results"]["sessions_per_node"], sessions)

    def test_gigante(self):
        """10^27 sessões dão o inteiro exato"""
        self.results({"nodes_minimum": -(-10**27 // 613),
                      "nodes_with_headroom": -(-12 * 10**26 // 613),
                      "kv_total_bytes": 2418278400 * 10**27}, concurrency=10**27)

    def test_atencao_pura(self):
        """120b com as 36 camadas completas, ou com as 36 de janela"""
        for shape, expected in (("full", 4831838208), ("sliding", 4718592)):
            document = catalogue("models")
            document["models"][0].update(
                attention_pattern=shape, hybrid_full_layers=None, hybrid_sliding_layers=None,
                sliding_window=128 if shape == "sliding" else None)
            with temporary_file(document) as path:
                self.results({"kv_per_session_bytes": expected}, models_file=path)

    def test_grupos(self):
        """Os grupos de camadas do modelo híbrido no JSON"""
        common = {"layers": 18, "elements_per_token": 1024, "bytes_per_token": 0,
                  "fixed_bytes": 0, "stride": 1, "shards": 8, "pair_dims": 128,
                  "read_tokens": None, "align_tokens": 0}
        self.assertEqual(self.sized()["model"]["kv_groups"], [
            dict(common, kind="full", cap_tokens=None),
            dict(common, kind="sliding", cap_tokens=128)])

    def test_tamanhos(self):
        """GiB, TiB e bytes da mesma grandeza concordam"""
        results = self.sized()["results"]
        self.assertAlmostEqual(results["kv_per_session_gib"], 2418278400 / 2**30, places=8)
        self.assertAlmostEqual(results["kv_total_tib"], 2418278400000 / 2**40, places=8)
        # 2304 · 10⁹ · 0.7 − 120 · 2³⁰
        self.assertEqual(results["kv_budget_bytes"], 1612800000000 - 128849018880)

    def test_padroes(self):
        """Sem as flags: contexto máximo, fp8, 0.70, 15 GiB por GPU, 20%, sem HA"""
        document = json.loads(self.ok(*flags({"model": "opt-oss-120b", "server": "dgx300",
                                              "concurrency": 1000}), "--json"))
        self.assertEqual(document["parameters"], {
            "concurrency": 1000, "requested_context": 131072, "effective_context": 131072,
            "kv_precision": "fp8", "kv_budget_ratio": 0.7, "runtime_overhead_gib": 120,
            "peak_headroom_ratio": 0.2, "ha_mode": "none", "gpu_memory_utilization": 0.9,
            "context_source": "model", "context_mix": None, "shared_prefix_tokens": 0,
            "tensor_parallel": None, "pipeline_parallel": None, "max_num_seqs": None,
            "max_num_batched_tokens": 16384, "speculative_tokens": 0, "acceptance_length": None,
            "disaggregated": "no",
            "weights_precision": "mxfp4", "input_tokens": None,
            "cached_tokens": None, "output_tokens": 1024, "max_tpot_ms": None,
            "min_tokens_per_second": None, "max_ttft_ms": None, "max_ttft_p95_ms": None,
            "confidence": 0.5,
            "requests_per_second": None, "nodes": None, "calibration": None, "tpot_scale": 1.0,
            "engine_log": None,
            "pue": 1.3, "node_price": None, "energy_price": None, "years": None,
            "weights_source": "catalogue"})
        self.assertEqual(document["storage"]["name"], "profile_default")

    def test_reserva_por_gpu(self):
        """A reserva padrão acompanha as GPUs: 15 GiB num nó de uma"""
        document = catalogue("servers")
        document["servers"][0].update(gpus=1, hbm_per_gpu_gb=2304)
        with temporary_file(document) as path:
            sized = self.sized(servers_file=path)
        self.assertEqual(sized["parameters"]["runtime_overhead_gib"], 15)
        none = self.sized(runtime_overhead_gib=0)
        self.assertEqual((none["parameters"]["runtime_overhead_gib"],
                          none["results"]["kv_budget_bytes"]), (0, 1612800000000))

    def test_numeros_como_se_escrevem(self):
        """As bordas das unidades, dos algarismos e dos textos de outros"""
        rows = ((size_text, ((1023, "1023 B"), (1024, "1 KiB"), (-2**21, "-2 MiB"),
                             (123456789, "117.74 MiB"), (2**60, "1 EiB"), (2**71, "2048 EiB"))),
                (seconds_text, ((120, "120 s"), (120.6, "2.01 min"), (7200, "120 min"),
                                (7260, "2.02 h"))),
                (sizing.money_text, ((Fraction("0.12345"), "0.1234"), (1, "1"), (1.256, "1.26"),
                                     (999.99, "999.99"), (1000, "1000"), (1000.4, "1000"))),
                (sizing.percent_text, ((Fraction(1, 800), "0.125%"),)),
                (functools.partial(sizing.cell_text, "power_kw"), ((14.25, "14.25"), (0, "0"))),
                (sizing.number_text, ((1.23456e-7, "0.000000123"),)),
                (sizing.exact_decimal, (("1" * 30, int("1" * 30)), ("1" * 31, None),
                                        ("1e30", 10**30), ("1e31", None))),
                (sizing.value_text, (("x" * 58, repr("x" * 58)),
                                     ("x" * 59, repr("x" * 59)[:57] + "..."))),
                (sizing.one_line, (("a\nb", "a\\nb"), ("é", "é"))))
        for text, pairs in rows:
            self.assertEqual([text(value) for value, _ in pairs], [shown for _, shown in pairs])

    def test_falha(self):
        """O que resta depois das falhas: N+1 perde um nó, N+2 perde dois, sem HA perde um"""
        for ha, failed, left, sessions, peak, covered, lost in (
                ("n+1", 1, 2, 1226, True, 1, 334), ("n+2", 2, 2, 1226, True, 2, 250),
                ("none", 1, 1, 613, False, 0, 500)):
            self.assertEqual(self.sized(ha=ha)["ha_plan"], {
                "failed_nodes": failed, "nodes_after_failure": left,
                "sessions_after_failure": sessions, "covers_concurrency": peak,
                "covers_peak": peak, "failures_covered_nominal": covered,
                "failures_covered_peak": covered, "interrupted_sessions": lost,
                "meets_objectives": None})
        nominal = self.sized(concurrency=613, peak_headroom_ratio="100%")["ha_plan"]
        self.assertEqual((nominal["covers_concurrency"], nominal["covers_peak"]), (True, False))


class Avisos(Case):
    """Avisos automáticos, com o número que os causou"""

    def test_limiares(self):
        """Cada aviso aparece de um lado do limiar e some do outro"""
        two_hundred_twenty = {"kv_precision": "fp16", "runtime_overhead_gib": 510,
                              "peak_headroom_ratio": 0}
        rows = (
            ("context_clamped", {"effective_context": 131073}, {"effective_context": 131072}),
            ("kv_16bit", {"kv_precision": "fp16"}, {"kv_precision": "fp8"}),
            ("kv_16bit", {"kv_precision": "bf16"}, {"kv_precision": "int8"}),
            ("int8_scales", {"kv_precision": "int8"}, {"kv_precision": "fp8"}),
            ("high_budget_ratio", {"kv_budget_ratio": "75.01%"}, {"kv_budget_ratio": "75%"}),
            ("network_storage", {"storage": "profile_network_ssd"}, {}),
            ("cloud_storage", {"storage": "profile_cloud_premium"}, {}),
            ("single_node", {"concurrency": 100}, {"concurrency": 100, "ha": "n+1"}),
            # 613 por nó: 1165 · 1 deixa 61 vagas (9.95%); 1164 deixa 62 (10.1%)
            ("tight_capacity", {"concurrency": 1165, "peak_headroom_ratio": 0},
             {"concurrency": 1164, "peak_headroom_ratio": 0}),
            # 220 por nó, 198 sessões: sobram 22, 10% exatos
            ("tight_capacity", dict(two_hundred_twenty, concurrency=199),
             dict(two_hundred_twenty, concurrency=198)),
            ("unserved_gpu", {"model": "glm-5", "server": "dgx-a100"},
             {"model": "glm-5", "server": "dgx-h100"}),
            ("unserved_gpu", {"model": "deepseek-v4", "server": "rtx-pro-6000-8x"},
             {"model": "deepseek-v4"}),
            ("replica_spans_nodes", {"model": "kimi-k2", "server": "dgx-h100"},
             {"model": "kimi-k2", "concurrency": 5}),
            # num DGX B300 a réplica cabe num nó; com 1000 sessões, a de dois compra menos
            ("replica_spans_nodes", {"model": "kimi-k2"},
             {"model": "kimi-k2", "concurrency": 5}),
        )
        for code, with_it, without_it in rows:
            with self.subTest(code):
                self.assertIn(code, self.codes(self.sized(**with_it)))
                self.assertNotIn(code, self.codes(self.sized(**without_it)))

    def test_ordem(self):
        """A folga do último nó antes do que a rede entre nós decide"""
        codes = self.codes(self.sized(model="kimi-k2.5", server="h100-nvl-8x", concurrency=1700,
                                      effective_context="8k"))
        self.assertLess(codes.index("tight_capacity"), codes.index("replica_spans_nodes"))

    def test_uma_unidade_so(self):
        """single_node é de uma só unidade sem reserva, mesmo que a unidade tenha vários nós"""
        wide = {"model": "kimi-k2", "server": "dgx-h100"}
        rows = ((dict(wide, concurrency=5), 3, 3, True),
                (dict(wide, concurrency=5, ha="n+1"), 6, 2, False),
                (dict(wide, concurrency=500), 12, 4, False),
                (dict(wide, concurrency=5, nodes=3), 3, 3, True), ({"concurrency": 5}, 1, 1, True),
                ({"concurrency": 5, "nodes": 2}, 2, 1, False))
        for changes, nodes, unit, alone in rows:
            with self.subTest(changes):
                document = self.sized(**changes)
                results = document["results"]
                self.assertEqual((results["nodes_final"], results["nodes_per_unit"]), (nodes, unit))
                self.assertEqual("single_node" in self.codes(document), alone)
        self.assertIn("single_node: 3 nós sem HA: se um cair, param 5 sessões; --ha n+1 acrescenta "
                      "3 nós", self.sized(**rows[0][0])["warnings"])

    def test_textos(self):
        """As frases dizem os números"""
        rows = (
            ({"kv_precision": "fp16"},
             "kv_16bit: KV em fp16 (2 bytes) pede 4.5044 GiB por sessão, 2 vezes os 2.2522 GiB"),
            ({"kv_budget_ratio": 0.8}, "high_budget_ratio: 80% da HBM para KV, acima de 75%"),
            ({"concurrency": 500, "peak_headroom_ratio": 0},
             "single_node: 1 nó sem HA: se um cair, param 500 sessões; --ha n+1 acrescenta 1 nó"),
            ({"kv_precision": "fp16", "model": "deepseek-v3.2", "effective_context": "128k"},
             "kv_16bit: KV em fp16 (2 bytes) pede 9.561 GiB por sessão, 1.81 vezes"),
            ({}, "tight_capacity: no pico sobram 26 vagas, 4.2% do último nó (abaixo de 10%)"),
            ({"concurrency": 1225, "peak_headroom_ratio": 0},
             "tight_capacity: no pico sobra 1 vaga, 0.1% do último nó"),
        )
        for changes, sentence in rows:
            with self.subTest(sentence):
                self.assertTrue([warning for warning in self.sized(**changes)["warnings"]
                                 if warning.startswith(sentence)])


# ── Uma segunda implementação, ingênua, e propriedades ────────────────────────────────────────


def naive_session_bytes(model, context, bytes_per_element):
    """KV camada a camada, sem grupos."""
    total = 0
    for layer in range(model["num_layers"]):
        sliding = (model["attention_pattern"] == "sliding"
                   or (model["attention_pattern"] == "hybrid"
                       and layer >= model["hybrid_full_layers"]))
        tokens = min(context, model["sliding_window"]) if sliding else context
        keys = model["num_key_value_heads"] * model["head_dim"] * tokens
        total += keys * bytes_per_element + keys * bytes_per_element
    return total


def naive_sizing(model, server, question):
    """(sessões por nó, mínimo, com pico, final) em `decimal`, sem frações."""
    with decimal.localcontext() as context:
        context.prec = 120
        exact = {key: decimal.Decimal(str(value)) for key, value in question.items()
                 if key not in ("kv_precision", "ha")}
        tokens = min(int(exact["effective_context"]), model["max_position_embeddings"])
        kv = naive_session_bytes(model, tokens, {"fp8": 1, "int8": 1, "fp16": 2, "bf16": 2}[
            question["kv_precision"]])
        hbm = decimal.Decimal(str(server["hbm_per_gpu_gb"])) * server["gpus"] * 10**9
        budget = hbm * exact["kv_budget_ratio"] - exact["runtime_overhead_gib"] * 1024**3
        sessions = int((budget / kv).to_integral_value(decimal.ROUND_FLOOR))
        if sessions < 1:
            return None
        nodes = [int((load / sessions).to_integral_value(decimal.ROUND_CEILING))
                 for load in (exact["concurrency"],
                              exact["concurrency"] * (1 + exact["peak_headroom_ratio"]))]
        return sessions, nodes[0], nodes[1], nodes[1] + ("none", "n+1", "n+2").index(question["ha"])


def random_question(generator):
    """(modelo, servidor, pergunta) ao acaso, como documentos e textos decimais."""
    shape = generator.choice(("full", "sliding", "hybrid"))
    full, sliding = generator.randint(1, 40), generator.randint(1, 40)
    model = {"name": "m", "num_layers": full + sliding,
             "num_key_value_heads": generator.choice((1, 2, 4, 8)),
             "head_dim": generator.choice((64, 96, 128)),
             "max_position_embeddings": generator.choice((4096, 32768, 131072)),
             "attention_pattern": shape, "default_kv_precision": "fp8", "notes": "n", "source": "s"}
    if shape != "full":
        model["sliding_window"] = generator.choice((128, 1024, 4096))
    if shape == "hybrid":
        model.update(hybrid_full_layers=full, hybrid_sliding_layers=sliding)
    gpus, gb = generator.choice((1, 4, 8)), generator.choice((48, 80, 94.5, 141, 288))
    server = {"name": "s", "gpus": gpus, "hbm_per_gpu_gb": gb, "total_hbm_gb": gpus * gb,
              "notes": "n", "source": "s"}
    question = {"concurrency": generator.randint(1, 10**generator.randint(1, 9)),
                "effective_context": generator.randint(1, 200000),
                "kv_precision": generator.choice(("fp8", "fp16", "bf16", "int8")),
                "kv_budget_ratio": generator.choice(("0.5", "0.65", "0.7", "1", "0.123456789")),
                "runtime_overhead_gib": generator.choice(("0.1", "7.3", "15", "120")),
                "peak_headroom_ratio": generator.choice(("0", "0.1", "0.2", "0.3333", "1")),
                "ha": generator.choice(("none", "n+1", "n+2"))}
    return model, server, question


def asked_at_random(model, server, question):
    """A pergunta destes documentos e textos, lidos como a linha de comando os lê."""
    exact = {key: Fraction(str(value)) for key, value in question.items()
             if key not in ("kv_precision", "ha")}
    return asking(
        entry_of("models", model), entry_of("servers", server), exact["concurrency"].numerator,
        exact["effective_context"].numerator, kv_precision=question["kv_precision"],
        ha_mode=question["ha"], **{name: exact[name] for name in (
            "runtime_overhead_gib", "kv_budget_ratio", "peak_headroom_ratio")})


def sized_at_random(*asked):
    """A resposta, ou None se nada cabe."""
    return answer_to(asked_at_random(*asked))


class Propriedades(Case):
    """Propriedades sobre milhares de perguntas ao acaso (semente fixa)"""

    def each(self, count, seed):
        """`count` perguntas ao acaso que cabem, com o seu resultado."""
        generator, found = random.Random(seed), 0
        while found < count:
            asked = random_question(generator)
            result = sized_at_random(*asked)
            if result is not None:
                found += 1
                yield asked, result, generator

    def test_segunda_implementacao(self):
        """2000 perguntas concordam com a implementação ingênua, também quando nada cabe"""
        generator, empty = random.Random(1), 0
        for _ in range(2000):
            asked = random_question(generator)
            expected, result = naive_sizing(*asked), sized_at_random(*asked)
            seen = result and (result.sessions, result.nodes_minimum, result.nodes_with_headroom,
                               result.nodes_final)
            self.assertEqual(seen, expected, asked)
            empty += expected is None
        self.assertGreater(empty, 20)

    def test_monotonia(self):
        """Mais contexto, carga, pico ou reserva nunca pede menos nós; mais HBM nunca cabe menos"""
        for (model, server, question), result, generator in self.each(400, 2):
            growing = dict(question)
            field = generator.choice(("effective_context", "concurrency", "peak_headroom_ratio",
                                      "runtime_overhead_gib"))
            growing[field] = str(Fraction(str(question[field])) + generator.randint(1, 50))
            grown = sized_at_random(model, server, growing)
            if grown is not None:
                self.assertGreaterEqual(grown.nodes_final, result.nodes_final, (question, field))
            gb = server["hbm_per_gpu_gb"] + generator.randint(1, 100)
            bigger = dict(server, hbm_per_gpu_gb=gb, total_hbm_gb=gb * server["gpus"])
            self.assertGreaterEqual(sized_at_random(model, bigger, question).sessions,
                                    result.sessions)

    def test_metade_exata(self):
        """fp16 guarda exatamente a metade do fp8: piso(S/2) sessões, o dobro de bytes"""
        for (model, server, question), _, _ in self.each(300, 3):
            one = sized_at_random(model, server, dict(question, kv_precision="fp8"))
            two = sized_at_random(model, server, dict(question, kv_precision="fp16"))
            if two is None:
                self.assertEqual(one.sessions, 1)
                continue
            self.assertEqual(two.kv_bytes, 2 * one.kv_bytes)
            self.assertEqual(two.sessions, one.sessions // 2)

    def test_limites(self):
        """As sessões de um nó cabem no orçamento e mais uma não; os nós bastam e um a menos não"""
        for _, result, _ in self.each(400, 4):
            held = result.sessions * result.kv_bytes
            self.assertLessEqual(held, result.budget_bytes)
            self.assertGreater(held + result.kv_bytes, result.budget_bytes)
            for nodes, load in ((result.nodes_minimum, result.concurrency),
                                (result.nodes_with_headroom, result.peak_sessions)):
                self.assertGreaterEqual(nodes * result.sessions, load)
                self.assertLess((nodes - 1) * result.sessions, load)

    def test_texto_e_json(self):
        """Texto e JSON dizem os mesmos números, em 80 colunas e 22 linhas, com todo aviso"""
        for asked, result, _ in self.each(300, 5):
            text, document = report_of(result), document_of(result)
            self.screen(text)
            flat = " ".join(text.split())
            results, peak = document["results"], document["parameters"]["peak_headroom_ratio"]
            self.assertTrue(flat.startswith("COMPRE %d × s (%d atende" % (
                results["nodes_final"], results["nodes_with_headroom"])), flat)
            self.assertIn(" m, pesos %(weights_precision)s, KV %(kv_precision)s · " % document[
                "parameters"], flat)
            self.assertIn("capacidade pura %d → com pico %d →" % (
                results["nodes_minimum"], results["nodes_with_headroom"]), flat)
            self.assertEqual("%% = %d Pedido" % results["peak_sessions"] in flat, bool(peak), flat)
            self.assertIn("Sessões/nó %d, limite: plano" % results["sessions_per_node"], flat)
            for warning in document["warnings"]:
                self.assertIn("! " + warning, flat, asked)
            json.dumps(document)

    def test_o_que_caberia(self):
        """Cada sugestão de uma recusa com status 3 cabe de fato, e um passo além não"""
        generator, seen = random.Random(6), set()
        for _ in range(rounds(3000, 1200)):
            model, server, question = random_question(generator)
            if sized_at_random(model, server, question) is not None:
                continue
            hint = refusal_of(asked_at_random(model, server, question))
            for flag, value in re.findall(r"--([a-z-]+) ([0-9.a-z]+)", hint):
                seen.add(flag)
                name = flag.replace("-", "_")
                held = sized_at_random(model, server, dict(question, **{name: value}))
                self.assertIsNotNone(held, (model, server, question, hint))
                beyond = {"effective_context": 1, "kv_budget_ratio": Fraction(-1, 10**4),
                          "runtime_overhead_gib": Fraction(1, 10**2)}.get(name)
                if beyond is not None:
                    step = dict(question, **{name: str(Fraction(value) + beyond)})
                    if Fraction(step[name]) > 0:
                        self.assertIsNone(sized_at_random(model, server, step), (question, step))
        self.assertEqual(seen, {"effective-context", "kv-budget-ratio", "runtime-overhead-gib",
                                "kv-precision"})


# ── O que cabe de fato ────────────────────────────────────────────────────────────────────────

# Execuções do vLLM, uma por (modelo, GPU, tp, versão); as de versão 0.16 são de 0.8 a 0.16.
# Colunas: modelo do catálogo, ou camadas, hidden, FFN, vocabulário, especialistas por token,
# largura do especialista, multimodal, DSA, atenção (0 comum, 1 linear, 2 MLA, 3 comprimida),
# camadas MoE; precisão dos pesos; compute capability; GiB visíveis; tp; utilização; versão
# (desde); max_num_seqs; max_num_batched_tokens; max_model_len; GiB de pesos e GiB de KV por GPU
# que o motor registrou; a amostra: `a` ajustou as constantes, `r` ficou reservada, `x` é de
# motores antigos. Fontes: registros públicos no GitHub. A metade reservada foi sorteada por
# (modelo, GPU, tp) entre as execuções novas; o DeepSeek V4 Pro, o único registro dos fluxos
# residuais, ficou no ajuste. Ficaram de fora as execuções cujo config.json ou cujas opções não se
# conhecem, e as de menos de 3 GiB de KV antes da 0.17.
MEASURED = """
llama-3.3-70b-instruct fp8 9 79.19 2 0.95 0.17 1024 8192 8192 33.88 37.28 a
llama-3.3-70b-instruct fp8 9 79.19 4 0.95 0.17 1024 8192 8192 16.96 54.09 a
qwen2.5-7b-instruct fp8 9 79.19 1 0.95 0.17 1024 8192 8192 8.14 64.64 a
gemma-2-27b-it - 9 79.19 1 0.95 0.17 1024 8192 8192 50.72 20.59 a
26,2304,9216,256000,0,0,0,0,0,0 - 9 79.19 1 0.95 0.17 1024 8192 8192 4.9 66.47 a
48,3840,15360,262208,0,0,1,0,0,0 - 9 79.19 1 0.95 0.17 1024 8192 8192 23.31 47.72 a
34,2560,10240,262208,0,0,1,0,0,0 - 9 79.19 1 0.95 0.17 1024 8192 8192 8.58 62.51 a
28,3072,24576,256000,0,0,0,0,0,0 - 9 79.19 1 0.95 0.17 1024 8192 8192 15.91 55.44 a
40,2048,8192,49155,0,0,0,0,0,0 - 9 79.19 1 0.95 0.17 1024 8192 8192 4.74 69.28 a
40,4096,12800,49159,0,0,0,0,0,0 - 9 79.19 1 0.95 0.17 1024 8192 8192 15.25 58.66 a
40,2048,8192,49156,0,0,1,0,0,0 - 9 79.19 1 0.95 0.17 1024 8192 8192 5.54 68.65 a
llama-3.1-8b-instruct - 9 79.19 1 0.95 0.17 1024 8192 8192 14.99 58.11 a
llama-3.1-8b-instruct - 9 79.19 2 0.95 0.17 1024 8192 8192 7.51 63.76 a
32,2560,10240,51200,0,0,0,0,0,0 - 9 79.19 1 0.95 0.17 1024 8192 8192 5.19 69.0 a
mistral-small-3.2-24b-instruct-2506 - 9 79.19 1 0.95 0.17 1024 8192 8192 44.76 28.19 a
qwen2.5-72b-instruct - 9 79.19 2 0.95 0.17 1024 8192 8192 67.82 3.02 a
27,2048,11264,163840,6,1408,1,0,2,26 - 9 79.19 1 0.95 0.17 1024 8192 8192 30.74 41.32 a
opt-oss-20b - 9 79.19 1 0.95 0.17 1024 8192 8192 13.64 58.47 a
24,2048,5632,151936,4,1408,0,0,0,24 - 9 79.19 1 0.95 0.17 1024 8192 8192 26.67 45.83 a
qwen2.5-7b-instruct - 9 79.19 1 0.95 0.17 1024 8192 8192 14.25 58.53 a
qwen2.5-7b-instruct - 9 79.19 2 0.95 0.17 1024 8192 8192 7.12 63.84 a
qwen3-8b - 9 79.19 1 0.95 0.17 1024 8192 8192 15.27 57.5 a
mistral-small-3.2-24b-instruct-2506 fp8 9 79.19 1 0.95 0.17 1024 8192 8192 24.07 48.73 a
mistral-small-3.2-24b-instruct-2506 fp8 9 79.19 2 0.95 0.17 1024 8192 8192 12.11 59.02 a
llama-3.1-8b-instruct fp8 9 79.19 1 0.95 0.17 1024 8192 8192 8.49 64.6 a
40,5120,17408,151936,0,0,0,0,0,0 - 9 79.19 1 0.95 0.17 1024 8192 8192 27.52 45.34 a
52,6656,19968,202048,0,0,1,0,0,0 fp8 8 44.39 1 0.95 0.21 4 8192 131072 32.39 7.88 a
78,6144,12288,154880,8,2048,0,1,2,75 nvfp4 10 184.31 4 0.92 0.21 1024 8192 819200 106.69 50.62 a
minimax-m2 - 9 139.8 8 0.92 0.17 1024 8192 8192 27.01 96.57 a
48,2048,0,151936,8,768,1,0,0,48 - 9 139.8 1 0.92 0.17 1024 8192 8192 58.23 67.03 a
48,2048,0,151936,8,768,1,0,0,48 - 9 139.8 1 0.92 0.2 1024 8192 262144 58.23 66.76 a
llama-3.3-70b-instruct fp8 10 178.35 4 0.92 0.17 1024 8192 8192 16.96 142.94 a
deepseek-r1 - 9 139.8 8 0.92 0.17 1024 8192 8192 79.74 42.79 a
deepseek-r1 - 9 139.8 8 0.92 0.2 1024 8192 163840 79.74 41.24 a
deepseek-v3.2 - 9 139.8 8 0.92 0.17 1024 8192 10000 80.76 41.76 a
deepseek-v4-pro - 9 139.8 8 0.92 0.2 1024 8192 8192 102.77 13.85 a
llama-3.3-70b-instruct - 10 178.35 4 0.92 0.17 1024 8192 8192 32.89 127.02 a
52,2688,0,131072,6,1856,0,0,0,23 fp8 9 139.8 1 0.92 0.17 1024 8192 10000 31.4 95.04 a
qwen2.5-7b-instruct - 8 44.4 1 0.95 0.21 128 2048 4096 14.29 26.32 a
opt-oss-120b - 9 79.19 1 0.95 0.21 8 1024 131072 61.29 10.52 a
43,4096,0,129280,6,2048,0,0,3,43 mxfp4 10 267.69 1 0.92 0.21 1024 2048 65536 156.32 86.74 r
94,4096,0,151936,8,1536,1,0,0,94 fp8 9 139.8 4 0.92 0.2 1024 8192 8192 55.87 65.48 r
48,2048,0,151936,8,768,1,0,0,48 - 10 178.35 1 0.92 0.17 1024 8192 10000 58.23 102.51 r
llama-3.3-70b-instruct fp8 9 139.8 4 0.92 0.17 1024 8192 8192 16.96 107.52 r
40,2048,0,248320,8,512,1,0,1,40 fp8 9 139.8 1 0.92 0.17 1024 8192 8192 34.43 89.92 r
60,4096,0,248320,10,1024,1,0,1,60 fp8 9 139.8 4 0.92 0.17 1024 8192 8192 94.87 26.76 r
deepseek-v3.2 - 10 178.35 8 0.92 0.17 1024 8192 8192 80.77 78.87 r
gemma-4-31b-it - 9 139.8 1 0.95 0.17 1024 8192 8192 58.9 69.75 r
llama-3.3-70b-instruct - 9 139.8 4 0.92 0.17 1024 8192 8192 32.89 91.57 r
llama-3.3-70b-instruct - 9 139.8 4 0.92 0.2 1024 8192 131072 32.89 90.66 r
deepseek-v3.2 nvfp4 10 178.35 8 0.92 0.17 1024 8192 10000 48.62 110.95 r
llama-3.3-70b-instruct fp8 9 139.8 4 0.92 0.17 1024 8192 10000 16.95 107.56 r
opt-oss-20b - 8 44.4 4 0.9 0.16 256 2048 8192 3.58 35.64 x
llama-3.1-8b-instruct - 8 23.57 1 0.9 0.16 256 2048 8192 14.96 5.29 x
40,5120,17408,151936,0,0,0,0,0,0 - 8 44.4 1 0.9 0.16 256 2048 8192 27.5185 11.0 x
40,5120,17408,151936,0,0,0,0,0,0 - 9 79.19 1 0.95 0.16 1024 8192 8192 27.52 41.94 x
opt-oss-20b - 9 79.19 1 0.9 0.16 1024 8192 8192 13.47 50.28 x
llama-3.3-70b-instruct fp8 9 79.19 2 0.9 0.16 1024 8192 8192 33.88 32.0 x
llama-3.1-8b-instruct - 9 79.19 1 0.9 0.16 1024 8192 8192 14.99 51.38 x
28,1024,3072,151936,0,0,0,0,0,0 - 9 79.19 1 0.9 0.16 1024 8192 8192 1.12 64.45 x
qwen3-32b - 9 79.19 1 0.9 0.16 1024 8192 8192 61.03 4.45 x
mistral-small-3.2-24b-instruct-2506 - 9 79.19 1 0.95 0.16 1024 8192 8192 44.76 28.2 x
"""


def ceiling(count, size):
    """Quantos de `size` cobrem `count`."""
    return -(-count // size)


def naive_specs(raw):
    """[(tipo, camadas, campos)] das camadas que guardam cache, do JSON de um modelo."""
    if raw.get("groups") is not None:
        return [(group["kind"], group["layers"], group) for group in raw["groups"]
                if group["kind"] != "none"]
    heads = {"kv_heads": raw["num_key_value_heads"], "k_dim": raw["head_dim"],
             "v_dim": raw["head_dim"], "window": raw.get("sliding_window")}
    every = raw["num_layers"]
    full, sliding = {"full": (every, 0), "sliding": (0, every)}.get(raw["attention_pattern"], (
        raw.get("hybrid_full_layers"), raw.get("hybrid_sliding_layers")))
    return [row for row in (("full", full, heads), ("sliding", sliding, heads)) if row[1]]


NAIVE_STATES = {"linear": 64, "mamba2": 16, "kda": 128}  # o múltiplo do bloco ao lado deles


class NaiveBlocks:
    """A regra de blocos do vLLM 0.33, refeita a partir do JSON, sem as classes do programa.

    `bytes` de um bloco numa GPU; `groups`: (tipo, camadas, tokens por bloco, janela) de cada grupo.
    """

    def __init__(self, raw, server, precision, tp, pp=1):
        self.specs, self.raw, self.precision, self.tp, self.pp = (
            naive_specs(raw), raw, precision, tp, pp)
        self.hopper, self.blackwell = (
            int(server.get("compute_capability", 0)) == generation for generation in (9, 10))
        kinds = {kind for kind, _, _ in self.specs}
        if "compressed" in kinds:
            self.compressed()
        elif kinds <= {"full", "mla", "indexer"}:  # guardam os mesmos tokens
            block = self.kernel_block()
            self.bytes = block * sum(ceiling(layers, pp) * self.size(kind, fields)
                                     for kind, layers, fields in self.specs)
            self.groups = [("full", sum(layers for _, layers, _ in self.specs), block, None)]
        else:
            self.buckets()

    def size(self, kind, fields):
        """Bytes, numa GPU, de um token ou de um estado de uma camada."""
        if kind in NAIVE_STATES:
            return ceiling(fields["state_bytes"], min(self.tp, fields["heads"]))
        if kind == "indexer":  # chave fp8 e uma escala fp32 por 128
            return fields["index_head_dim"] + 4 * ceiling(fields["index_head_dim"], 128)
        element = {"fp8": 1, "int8": 1, "nvfp4": Fraction(9, 16)}.get(self.precision, 2)
        if kind == "mla":
            latent, rope = fields["kv_lora_rank"], fields["qk_rope_head_dim"]
            sparse = any(kind == "indexer" for kind, _, _ in self.specs)
            if sparse and self.hopper and self.precision == "fp8":
                return latent + 4 * ceiling(latent, 128) + 2 * rope
            return (latent + rope) * element
        scales = 8 if self.precision == "int8" else 0  # fp32, de K e de V
        one = (fields["k_dim"] + fields["v_dim"]) * element + scales
        return math.ceil(max(1, fields["kv_heads"] // self.tp) * one)

    def kernel_block(self):
        kinds = {kind for kind, _, _ in self.specs}
        if "indexer" in kinds:
            return 64
        if "mla" in kinds:
            return 32 if self.blackwell else 64 if self.hopper and self.precision == "fp8" else 16
        gemma4 = any(fields.get("k_dim", 0) > 256 for _, _, fields in self.specs)
        if gemma4 and self.hopper and self.precision == "fp8":
            return 64
        return 64 if self.blackwell and self.raw.get("bidirectional_images") else 16

    def buckets(self):
        sizes = {}  # (tipo, bytes, tokens que guarda) → camadas
        for kind, layers, fields in self.specs:
            key = (kind, self.size(kind, fields), fields.get("chunk") or (
                fields["window"] if kind == "sliding" else None))
            sizes[key] = sizes.get(key, 0) + layers
        states = [size for kind, size, _ in sizes if kind in NAIVE_STATES]
        block = self.kernel_block()
        if states:
            align = max(NAIVE_STATES.get(kind, 0) for kind, _, _ in sizes)
            token = max(size for kind, size, _ in sizes if kind not in NAIVE_STATES)
            block = align * ceiling(max(states), align * token)
        pages = {key: key[1] * (1 if key[0] in NAIVE_STATES else block) for key in sizes}
        least, most, page = min(sizes.values()), max(sizes.values()), max(pages.values())
        width = most if most < 1.5 * least else least
        self.groups = []
        for (kind, size, cap), layers in sizes.items():
            mine = pages[kind, size, cap]
            more = page // mine if page % mine == 0 and kind not in NAIVE_STATES else 1
            count = ceiling(layers, width)
            self.groups += [(kind, len(range(number, layers, count)), block * more, cap)
                            for number in range(count)]
        self.bytes = ceiling(max(layers for _, layers, _, _ in self.groups), self.pp) * page

    def compressed(self):
        """DeepSeek V4: cada camada 1:4 guarda 37440 + 8640 bytes por 256 tokens; a 1:128, 1728."""
        four, many = (sum(layers for kind, layers, fields in self.specs
                          if kind == "compressed" and fields["ratio"] == ratio)
                      for ratio in (4, 128))
        self.bytes = four * (37440 + 8640) + many * 1728
        self.groups = [("full", four + many, 256, None), ("sliding", 30, 64, 128),
                       ("sliding", 31, 64, 128), ("sliding", four, 4, 8),
                       ("sliding", many, 8, 128)]

    def held(self, context):
        """Os blocos de uma sessão que gera."""
        total = 0
        for kind, _, block, cap in self.groups:
            every = ceiling(context, block)
            total += 1 if kind in NAIVE_STATES else min(every, {
                "sliding": ceiling((cap or 1) - 1, block) + 1,
                "chunked": ceiling(cap or 0, block)}.get(kind, every))
        return total

    def reserved(self, context, batched_tokens):
        """Os que precisam estar livres para ela entrar; cada etapa e mais uma têm o seu lote."""
        flight, total = (self.pp + 1) * batched_tokens, 0
        for kind, _, block, cap in self.groups:
            total += {
                "linear": 3, "mamba2": 3, "kda": 3,
                "sliding": ceiling(min((cap or 1) - 1 + flight, context), block) + 1,
                "chunked": ceiling(min((cap or 0) + flight, context), block),
            }.get(kind, ceiling(context, block))
        return total

    def shared(self, prefix):
        """Os cheios do prefixo comum."""
        return sum(prefix // block for kind, _, block, cap in self.groups
                   if cap is None and kind not in NAIVE_STATES)


def naive_sessions(blocks, held, reserved):
    """As que o motor mantém: a última ainda precisa da reserva inteira, e um bloco é o nulo."""
    sessions = 0
    while sessions * held + reserved <= blocks - 1 and sessions < 50:
        sessions += 1
    if sessions == 50:
        sessions += (blocks - 1 - reserved - 49 * held) // held
    return sessions


def measured_entry(reference):
    """O modelo do catálogo, ou um só com as dimensões que o motor usa, pesos quase nulos."""
    if "," not in reference:
        return in_catalogue("models", reference)
    (layers, hidden, width, vocab, top_k, expert, multimodal, sparse, attention,
     moe_layers) = map(int, reference.split(","))
    full = {"kind": "full", "kv_heads": 8, "k_dim": 256, "v_dim": 256}
    kinds = [[full], [{"kind": "linear", "state_bytes": 2 ** 20, "heads": 8}],
             [{"kind": "mla", "kv_lora_rank": 512, "qk_rope_head_dim": 64}],
             [full, {"kind": "compressed", "dim": 512, "ratio": 128}]][attention]
    kinds += [{"kind": "indexer", "index_head_dim": 128}] if sparse else []
    groups = [dict(kind, layers=layers) for kind in kinds]
    experts = {"num_experts": 64, "experts_per_token": top_k, "moe_intermediate_size": expert,
               "moe_layers": moe_layers, "weights_expert_bytes": 1} if top_k else {}
    return entry_of("models", dict(
        experts, name="medido", num_layers=layers, num_key_value_heads=8, head_dim=256,
        attention_pattern="groups", groups=groups, max_position_embeddings=2 ** 20,
        default_kv_precision="fp8", notes="n", source="s", vocab_size=vocab, hidden_size=hidden,
        num_attention_heads=8, native_precision="bf16", multimodal=bool(multimodal),
        weights_dense_bytes=1, **({"intermediate_size": width} if width else {})))


MEMORY_SAMPLES = {"a": "pesos registrados, no ajuste", "r": "pesos registrados, reservadas",
                  "c": "pesos do catálogo", "x": "vLLM 0.8 a 0.16, fora do alcance"}


@functools.lru_cache(maxsize=None)
def memory_errors():
    """{amostra: [erro relativo ao KV registrado]}."""
    errors = {name: [] for name in MEMORY_SAMPLES.values()}
    for row in MEASURED.strip().splitlines():
        reference, precision, *numbers, sample = row.split()
        (capability, visible, tp, utilization, version, seqs, tokens, context, load,
         logged) = map(float, numbers)
        # HBM em que cabem todos.
        node = entry_of("servers", dict(
            listed("servers", "dgx-h100"), compute_capability=capability, hbm_per_gpu_gb=1000,
            total_hbm_gb=8000, hbm_usable_gib_per_gpu=900))
        q = asking(measured_entry(reference), node, context=int(context), kv_precision="fp16",
                   requested_weights_precision=None if precision == "-" else precision,
                   requested_max_num_seqs=int(seqs), requested_max_num_batched_tokens=int(tokens))
        part = sizing.layout_of(q, sizing.replica_of(q, int(tp), 1, 1, 1))
        others, graphs = part.non_torch_bytes, part.cuda_graphs_bytes
        if version < 0.21 and tp > 1:
            others = 2.15 * sizing.GIB  # o NCCL ocupava mais
        if version < 0.2:
            graphs = 0  # ficavam fora do orçamento
        if q.model.indexer_layers and context > 2 ** 18:  # antes da 0.33, sempre 5 contextos
            others += sizing.INDEXER_TOKEN_BYTES * min(5 * (context - 2 ** 18), 3 * context)
        free = utilization * visible - (part.activation_bytes + others + graphs) / sizing.GIB
        errors[MEMORY_SAMPLES[sample]].append((free - load) / logged - 1)
        if "," not in reference and sample != "x":
            load = part.weights_bytes / sizing.GIB
            errors[MEMORY_SAMPLES["c"]].append((free - load) / logged - 1)
    return errors


def median_and_p90(errors):
    """A mediana e o nonagésimo percentil dos erros absolutos."""
    ranked = sorted(map(abs, errors))
    return ranked[len(ranked) // 2], ranked[-(-9 * len(ranked) // 10) - 1]


def error_table():
    """A tabela de erro do README."""
    lines = ["| pesos | execuções | mediana | p90 | pior |", "|---|---|---|---|---|"]
    for name, errors in memory_errors().items():
        median, p90 = median_and_p90(errors)
        lines.append("| %s | %d | %.2f%% | %.2f%% | %.2f%% |" % (
            name, len(errors), 100 * median, 100 * p90, 100 * max(map(abs, errors))))
    return "\n".join(lines)


class TetoFisico(Case):
    """O que o motor admite: pesos, leiautes, tipos de cache e registros de motores reais"""

    def test_registros(self):
        """KV por GPU contra os registros: 1% na mediana e 3% no p90, também nos reservados"""
        for name, errors in memory_errors().items():
            if "fora do alcance" not in name:
                median, p90 = median_and_p90(errors)
                self.assertGreaterEqual(len(errors), 12, name)
                self.assertLessEqual(median, 0.01, name)
                self.assertLessEqual(p90, 0.03, name)

    def test_grafos(self):
        """Os tamanhos que o motor grava até cada lote; mais sequências nunca custam menos grafos"""
        most = (1, 2, 8, 16, 256, 512, 1024)
        self.assertEqual([sizing.batch_sizes(size) for size in most], [1, 2, 4, 5, 35, 51, 83])
        self.assertEqual([sizing.graphs_captured(in_catalogue("servers", "dgx200"), size)
                          for size in most], [3, 5, 9, 12, 86, 102, 102])
        for model, megabytes in (("llama-3.3-70b", (256, 970)), ("deepseek-r1", (256, 1950))):
            for server, graphs in (("dgx200", 102), ("dgx300", 166)):
                with self.subTest(model=model, server=server):
                    question = asking(model, server)
                    seen = [graphs_bytes(question, 1, n) for n in range(1, 1100, 7)]
                    self.assertEqual(seen, sorted(seen))
                    per_graph = (seen[-1] - sizing.GRAPHS_BYTES) / graphs
                    self.assertAlmostEqual(per_graph * 102 / 2 ** 20 + megabytes[0], megabytes[1],
                                           delta=60)

    def test_lote_pequeno(self):
        """gpt-oss-120b numa H100, 8 sequências e 1024 tokens: o motor registrou 10.52 GiB de KV"""
        question = asking("opt-oss-120b", "dgx-h100", context=131072, kv_precision="fp16",
                          requested_max_num_seqs=8, requested_max_num_batched_tokens=1024,
                          gpu_memory_utilization=Fraction(95, 100))
        replica = sizing.replica_of(question, 1, 1, 1, 1)
        capacity = sizing.layout_of(question, replica).kv_capacity_bytes
        self.assertAlmostEqual(capacity / sizing.GIB, 10.52, delta=0.55)

    def test_ancoras(self):
        """Tetos conhecidos: 120b em 131072 e DeepSeek-R1 em 4096, nos leiautes tp 8 e dp 8"""
        # bytes de um bloco, os que uma sessão guarda e reserva; sessões por nó, dentro de 3%
        rows = (
            # 18 camadas de um KV head: 2 · 64 · 16; a janela guarda 9 páginas e reserva
            # ⌈(127 + 2 · 16384) / 16⌉ + 1
            ({}, "tp 8", 36864, 8192 + 9, 8192 + 2056 + 1, 794),
            ({"server": "dgx200"}, "tp 8", 36864, 8192 + 9, 8192 + 1032 + 1, 398),
            # 61 camadas de 576 bytes em blocos de 32 tokens
            ({"model": "deepseek-r1", "effective_context": 4096, "kv_budget_ratio": "0.3"},
             "dp 8", 61 * 576 * 32, 128, 128, 8280))
        for changes, layout, block, held, reserved, near in rows:
            with self.subTest(changes):
                engine = self.sized(**changes)["engine"]
                self.assertEqual((engine["layout"], engine["block_bytes"],
                                  engine["reserved_blocks_per_session"]), (layout, block, reserved))
                self.assertEqual(engine["kv_per_session_bytes_per_gpu"], block * held)
                sessions = 1 + (engine["kv_blocks"] - 1 - reserved) // held
                self.assertEqual(engine["sessions_held"], sessions)
                self.assertAlmostEqual(engine["sessions_logged"] / (
                    engine["kv_blocks"] / reserved), 1, 6)
                node = sessions * (8 if layout == "dp 8" else 1)
                self.assertEqual(engine["sessions_per_node"], node)
                self.assertAlmostEqual(node / near, 1, delta=0.03)
        layouts = {row["layout"]: row["sessions_per_unit"] for row in engine["layouts"]}
        self.assertFalse({"tp 1", "tp 2"} & set(layouts))  # nem os pesos
        self.assertGreater(layouts["dp 8"], 7 * layouts["tp 8"])  # que repete o KV em cada GPU

    def test_conta_a_mao(self):
        """120b em tp 8 no DGX B300, parcela a parcela, pelos parâmetros publicados"""
        engine = self.sized()["engine"]
        experts, total = 114701598720, 116829156672
        tile = (3072 * 384) / (2880 * 360)  # hidden 2880 → 3072; fatia de 360 → 384
        rope = 131072 * 64 * 2
        weights = ((total - experts) * 2 / 8 + rope + experts * 4.25 / 8 / 8 * tile) / 2**30
        self.assertAlmostEqual(engine["weights_gib_per_gpu"], weights, delta=0.001)
        self.assertEqual(engine["max_num_seqs"], engine["sessions_held"])
        parts, sequences = engine["runtime_parts_gib_per_gpu"], engine["max_num_seqs"]
        sampler = 3.66 * sequences * 201088 * 4 + 16384 * 2880 * 2
        self.assertAlmostEqual(parts["activation"], sampler / 2**30 + 1 / 32, places=5)
        self.assertEqual(parts["non_torch"], 1)
        runtime = sum(parts.values())
        self.assertAlmostEqual(engine["runtime_gib_per_gpu"], runtime, places=6)
        capacity = 0.9 * 267.69 - weights - runtime
        self.assertAlmostEqual(engine["kv_capacity_gib_per_gpu"], capacity, delta=0.001)
        # um KV head por GPU; a janela de 128 atravessa nove páginas de 16, que as camadas dividem
        block = 18 * 2 * 64 * 16
        self.assertEqual(engine["kv_per_session_bytes_per_gpu"], block * (131072 // 16 + 9))
        reserved = 131072 // 16 + -(-(127 + 2 * 16384) // 16) + 1
        self.assertEqual(engine["reserved_bytes_per_session"], block * reserved)
        blocks = int(capacity * 2**30 / block)
        self.assertAlmostEqual(engine["kv_blocks"], blocks, delta=30)  # 1 MiB
        self.assertEqual(engine["sessions_per_node"], 1 + (blocks - 1 - reserved) // (8192 + 9))
        self.assertEqual(engine["kv_per_session_upper_bytes"], 36 * 2 * 8 * 64 * 131072)

    def test_pesos_maiores_que_a_hbm(self):
        """Pesos maiores que a HBM nunca dão um número de nós, por poucos campos que haja"""
        box = {"name": "caixa", "gpus": 4, "hbm_per_gpu_gb": 94, "total_hbm_gb": 376,
               "notes": "n", "source": "s"}
        with temporary_file({"servers": [box]}) as path:
            asked = dict(BASE, model="deepseek-r1", server="caixa", servers_file=path)
            loads = (asked, dict(asked, nodes=9), dict(asked, ha="n+1"),
                     {k: v for k, v in asked.items() if k != "concurrency"})
            for question in loads:
                self.refused(flags(question), "688.6 GB", "376 GB", "faltam 312.6 GB",
                             "hbm_usable_gib_per_gpu", status=3)
            self.refused(flags(dict(asked, model="llama-3.1-405b", effective_context=4096)),
                         "811.7 GB", "; cabe em: ", "dgx300", status=3)
            self.assertIn("no_ceiling", self.codes(self.sized(**dict(
                asked, model="llama-3.3-70b"))))
            rows = json.loads(self.ok(*flags(dict(asked, server="dgx300,caixa")), "--json"))
            self.assertEqual([bool(row["results"]) for row in rows], [True, False])
        exact = entry_of("servers", dict(box, hbm_per_gpu_gb=172, total_hbm_gb=688))
        model = in_catalogue("models", "deepseek-r1")
        fields = dict.fromkeys(("weights_dense_bytes", "weights_expert_bytes", "params_total"))
        bare = changed(model, checkpoint_bytes=688 * 10**9, **fields)
        self.assertGreater(answer(asking(bare, exact, 1, 128)).nodes_final, 0)  # cabe, exato
        more = changed(bare, checkpoint_bytes=688 * 10**9 + 1)
        self.assertIsNone(answer_to(asking(more, exact, 1, 128)))
        self.assertGreater(answer(asking(changed(more, checkpoint_bytes=None), exact, 1,
                                         128)).nodes_final, 0)  # não se sabe
        # com todos os campos, réplicas de vários nós respondem
        self.assertGreater(answer(asking("deepseek-r1", "h100-nvl-8x", 1, 8192)).nodes_final, 0)
        self.assertGreater(answer(asking("kimi-k2", "dgx-h100", 1, 8192)).unit, 1)

    def test_paginas(self):
        """O teto conta páginas inteiras de 16 tokens; o plano, os tokens exatos"""
        document = self.sized(effective_context=100, tensor_parallel=8, kv_budget_ratio="0.1")
        self.assertEqual(document["results"]["kv_per_session_bytes"], 36 * 2 * 8 * 64 * 100)
        self.assertEqual(document["engine"]["kv_per_session_bytes_per_gpu"], 36 * 2 * 64 * 112)

    def test_amostrador(self):
        """max_num_seqs é o maior que se sustenta: cada sequência também aumenta o amostrador"""
        few = self.sized(tensor_parallel=8)["engine"]
        for context in (16384, 32768, 65536):
            question = asking("opt-oss-120b", "dgx300", 1000, context, tensor_parallel=8)
            replica = replica_of(answer(question))
            engine = self.sized(effective_context=context, tensor_parallel=8)["engine"]
            sessions = engine["sessions_per_replica"]
            self.assertEqual((engine["sessions_held"], engine["max_num_seqs"], replica.sessions),
                             (sessions,) * 3)
            sampler = 3.66 * 4 * 201088 / 2**30  # GiB de cada sequência
            growth = (engine["runtime_parts_gib_per_gpu"]["activation"]
                      - few["runtime_parts_gib_per_gpu"]["activation"])
            self.assertAlmostEqual(growth, sampler * (sessions - few["max_num_seqs"]), places=5)
            held, reserved = context // 16 + 9, context // 16 + 1 + -(-min(
                127 + 2 * 16384, context) // 16)
            for sequences, fits in ((sessions, True), (sessions + 1, False)):
                pool = (replica.usable_bytes - replica.weights_bytes
                        - runtime_bytes(replica, sequences))
                blocks = pool // 36864
                self.assertEqual(1 + (blocks - 1 - reserved) // held >= sequences, fits)

    def test_atencao_em_data_parallel(self):
        """dp só para um MoE de cache latente, em várias GPUs, sem outro tp pedido"""
        def layouts(**changes):
            # um plano que o nó admite: não se comparam etapas
            engine = self.sized(**dict({"model": "deepseek-r1", "effective_context": 4096,
                                        "kv_budget_ratio": "0.1"}, **changes))["engine"]
            return sorted(row["layout"] for row in engine["layouts"])

        self.assertEqual(layouts(), ["dp 8", "tp 4", "tp 8"])  # nos outros não cabem os pesos
        self.assertEqual(layouts(tensor_parallel=1), ["dp 8"])
        self.assertEqual(layouts(tensor_parallel=8), ["tp 8"])
        for tp in (None, 1, 8):  # também em vários nós
            wide = sizing.spread_replicas(asking("deepseek-v4-pro", "dgx300",
                                                 tensor_parallel=tp), 2)
            self.assertEqual("dp 16" in map(str, wide), tp != 8)
        # um MoE em que cada cabeça tem o seu KV
        self.assertEqual(layouts(model="qwen3-235b"), ["tp 2", "tp 4", "tp 8"])
        models, servers = catalogue("models"), catalogue("servers")
        dense = listed("models", "deepseek-r1", models)
        for name in ("num_experts", "experts_per_token", "moe_intermediate_size", "moe_layers",
                     "params_experts", "weights_expert_bytes"):
            del dense[name]
        servers["servers"][0].update(gpus=1, hbm_per_gpu_gb=2304, nvlink_domain_gpus=1,
                                     hbm_usable_gib_per_gpu=2000)
        with temporary_file(models) as models_file, temporary_file(servers) as servers_file:
            self.assertEqual(layouts(models_file=models_file), ["tp 1", "tp 2", "tp 4", "tp 8"])
            self.assertEqual(layouts(servers_file=servers_file), ["tp 1"])

    def test_menos_nos_com_ha(self):
        """A unidade é a que compra menos nós, contada a reserva de HA; no empate, a menor"""
        units = set()
        for ha, concurrency in itertools.product(("none", "n+1", "n+2"), (5, 90, 350, 600, 3000)):
            found = answer(asking("kimi-k2", "dgx-h100", concurrency, 131072, ha_mode=ha))
            plan = found.budget_bytes // found.kv_bytes  # por nó
            bought = [((-(-found.peak_sessions // min(unit * plan, ceiling))
                        + ("none", "n+1", "n+2").index(ha)) * unit, unit)
                      for _, unit, ceiling in every_layout_of(found)]
            self.assertEqual((found.nodes_final, found.unit), min(bought), (ha, concurrency))
            self.assertEqual({unit for _, unit in bought}, set(range(2, 9)))
            units.add(found.unit)
        self.assertGreater(len(units), 2)

    def test_orcamento_da_unidade(self):
        """O plano de uma unidade é o de cada nó vezes os nós; se um nó não tem sessão, o da soma"""
        rows = (("llama-3.1-405b", "dgx-spark", "fp16", Fraction(6, 10)),
                ("llama-3.1-70b", "dgx-spark", "fp8", Fraction(18, 100)),
                ("glm-4.5", "rtx-pro-6000-8x", "fp8", Fraction(7, 10)),
                ("kimi-k2", "dgx-h100", "bf16", Fraction(3, 10)))
        whole, summed = 0, 0
        for model, server, precision, ratio in rows:
            found = answer(asking(model, server, 1, 131072, kv_precision=precision,
                                  kv_budget_ratio=ratio, peak_headroom_ratio=Fraction(0)))
            node = found.budget_bytes // found.kv_bytes
            pooled = found.unit * found.budget_bytes // found.kv_bytes
            expected = found.unit * node or pooled
            (_, unit, ceiling), *_ = every_layout_of(found)
            self.assertEqual((unit, found.sessions), (found.unit, min(expected, ceiling)))
            self.assertGreater(unit, 1)
            whole += bool(node)
            summed += not node
        self.assertTrue(whole and summed)
        # com um prefixo comum, cada nó guarda as suas cópias
        found = answer(asking("kimi-k2", "dgx-h100", 10, 131072, kv_budget_ratio=Fraction(3, 10),
                              shared_prefix_tokens=60000, pipeline_parallel=1))
        copies, shared = replica_of(found).dp // found.unit, 60000 * 61 * 576
        self.assertGreater(copies, 1)
        self.assertEqual((found.sessions, found.limited_by), (found.unit * (
            (found.budget_bytes - copies * shared) // (found.kv_bytes - shared)), "plan"))
        # o motor admite em 2 nós; o plano, só em 4, o que não é recusa
        results = self.sized(model="llama-3.1-70b", server="dgx-spark", concurrency=1,
                             peak_headroom_ratio=0, kv_budget_ratio="0.18")["results"]
        self.assertEqual((results["nodes_per_unit"], results["sessions_per_unit"]), (4, 1))

    def test_sugestao_vale(self):
        """Uma sugestão de status 3 respeita também o teto físico"""
        line = self.refused(["--model=glm-5", "--server=dgx-spark", "--concurrency=1",
                             "--kv-budget-ratio=0.05"], "faltam", status=3)
        self.assertNotIn("--kv-budget-ratio 0", line)

    def test_replica_maior_que_o_no(self):
        """Kimi-K2 fp8 em nós H100: réplicas de vários nós, comprados em unidades inteiras"""
        document = self.sized(model="kimi-k2", server="dgx-h100", ha="n+1")
        results, engine = document["results"], document["engine"]
        unit = results["nodes_per_unit"]
        self.assertGreater(unit, 1)
        self.assertEqual(engine["nodes_per_replica"], unit)
        nodes = (-(-1200 // results["sessions_per_unit"]) + 1) * unit
        self.assertEqual(results["nodes_final"], nodes)
        self.assertEqual(nodes - unit, results["nodes_with_headroom"])
        self.assertEqual(document["ha_plan"]["nodes_after_failure"], nodes - unit)
        alone = self.sized(model="kimi-k2", server="dgx-h100")["results"]
        self.assertLessEqual(alone["nodes_final"], nodes - unit)
        self.assertEqual(alone["nodes_final"] % alone["nodes_per_unit"], 0)
        few = self.sized(model="kimi-k2", server="dgx-h100", concurrency=5, effective_context="8k")
        self.assertEqual(few["results"]["nodes_per_unit"], 2)

    def test_projecoes_repetidas(self):
        """Cada GPU repete as projeções de entrada da MLA e a tabela do RoPE; o resto se divide"""
        raw = listed("models", "deepseek-r1")
        repeated = raw["weights_replicated_bytes"]
        rope = 2 * raw["max_position_embeddings"] * raw["head_dim"]
        self.assertEqual(
            sizing.weights_per_gpu(asking("deepseek-r1", "dgx200"), 8, 1),
            ceiling(raw["weights_dense_bytes"] - repeated, 8) + repeated + rope
            + ceiling(raw["weights_expert_bytes"], 8))

    def test_nada_cabe(self):
        """Pesos que não cabem em leiaute algum: status 3, o que falta e onde caberia"""
        spark = ["--model=kimi-k2", "--server=dgx-spark", "--concurrency=1"]
        self.refused(spark, "pesos de", "faltam", "no melhor leiaute (tp 1 pp 8 em 8 nós)",
                     "cabe em: dgx300, dgx200", status=3)
        one = self.refused([*spark, "--tensor-parallel=1"], "cabe em", status=3)
        self.assertNotIn("tensor-parallel auto", one)
        self.assertNotIn("nenhuma flag sozinha", one)  # outras, não tentadas, serviriam
        self.refused(["--model=glm-4.5", "--server=dgx-h100", "--concurrency=1",
                      "--pipeline-parallel=1"],
                     "cabe com --pipeline-parallel auto", status=3)
        # 61 camadas em 56 etapas: duas numa GPU só não cabem; oito, em oito GPUs, sim
        self.refused(["--model=kimi-k2", "--server=l40s-8x", "--concurrency=1",
                      "--weights-precision=bf16", "--tensor-parallel=1",
                      "--effective-context=8k"], "cabe com --tensor-parallel auto", status=3)

    def test_flags(self):
        """Utilização, tensor parallel e precisão dos pesos: efeito e valores ruins"""
        engine = self.sized(tensor_parallel=2)["engine"]
        self.assertEqual((engine["layout"], engine["replicas_per_node"]), ("tp 2", 4))
        self.assertEqual([row["layout"] for row in engine["layouts"]], ["tp 2"])
        self.assertEqual(self.sized(tensor_parallel="AUTO")["engine"]["layout"], "tp 8")
        small = self.sized(gpu_memory_utilization="50%")
        self.assertEqual(small["results"]["limited_by"], "engine_memory")
        self.assertLess(small["results"]["sessions_per_node"], 613)
        alone = {"model": "llama-3.1-70b", "tensor_parallel": 1, "kv_budget_ratio": "0.1"}
        wide = self.sized(**alone)["engine"]
        half = self.sized(**alone, weights_precision="fp8")["engine"]
        # os embeddings e a cabeça (2.1 bilhões de 70.6) ficam em 16 bits
        self.assertAlmostEqual(wide["weights_gib_per_gpu"] - half["weights_gib_per_gpu"],
                               (70553706496 - 2101346304) / 2**30, places=5)
        rows = (("tensor_parallel", "3", "1, 2, 4, 8"), ("tensor_parallel", "16", "1, 2, 4, 8"),
                ("tensor_parallel", "0", "auto"), ("tensor_parallel", "x", "auto"),
                ("tensor_parallel", "", "auto"), ("gpu_memory_utilization", "0", "0.7"),
                ("gpu_memory_utilization", "1.1", "70%"), ("gpu_memory_utilization", "90", "70%"),
                ("weights_precision", "fp3", "bf16"), ("weights_precision", "", "bf16"))
        for name, value, words in rows:
            with self.subTest(name=name, value=value):
                self.refused(flags(dict(BASE, **{name: value})), name.replace("_", "-"), words)

    def test_max_num_seqs(self):
        """O --max-num-seqs pedido limita cada motor, e o que ele não usa volta para o KV"""
        def at(**changes):
            document = self.sized(tensor_parallel=8, **changes)
            return document["results"], document["engine"], document["parameters"]

        results, engine, parameters = at(max_num_seqs=612)
        self.assertEqual((results["limited_by"], results["sessions_per_node"],
                          engine["max_num_seqs"], parameters["max_num_seqs"]),
                         ("max_num_seqs", 612, 612, 612))
        self.assertEqual(at(max_num_seqs=613)[0]["limited_by"], "plan")
        free, auto = at()[1], at(max_num_seqs=64)[1]
        self.assertGreater(auto["sessions_held"], free["sessions_held"])
        self.assertEqual(auto["sessions_per_replica"], 64)
        # com mais sequências do que a memória mantém, é ela que limita
        tight = at(max_num_seqs=1024, gpu_memory_utilization="50%")
        self.assertEqual(tight[0]["limited_by"], "engine_memory")
        self.assertLess(tight[1]["sessions_held"], 1024)
        # quatro motores por nó
        split = self.sized(tensor_parallel=2, max_num_seqs="0.1k")
        self.assertEqual((split["results"]["sessions_per_node"], split["engine"]["max_num_seqs"]),
                         (400, 100))
        text = self.ok(*flags(dict(BASE, tensor_parallel=2, max_num_seqs=100)))
        self.assertIn("400, limite: max_num_seqs 100 (plano 613; motor ~400; log ", text)
        self.assertIn("max_num_seqs 100", text.split("Sessões/nó")[0])
        self.refused(flags(dict(BASE, max_num_seqs=16385)), "--max-num-seqs 16385", "16384",
                     "--max-num-batched-tokens")
        self.refused(flags(dict(BASE, max_num_seqs=65, max_num_batched_tokens=64)),
                     "--max-num-seqs 65", "até 64")
        self.ok(*flags(dict(BASE, max_num_seqs=64, max_num_batched_tokens=64)))

    def test_max_num_batched_tokens(self):
        """Menos tokens por passo, menos ativações; e cada sequência gera um deles"""
        def at(**changes):
            return self.sized(tensor_parallel=8, **changes)

        usual, small = at(), at(max_num_batched_tokens="1k")
        for document, tokens in ((usual, 16384), (small, 1024)):
            self.assertEqual(document["parameters"]["max_num_batched_tokens"], tokens)
            self.assertEqual(document["engine"]["max_num_batched_tokens"], tokens)
        self.assertGreater(small["engine"]["kv_capacity_gib_per_gpu"],
                           usual["engine"]["kv_capacity_gib_per_gpu"])
        self.assertGreater(at(effective_context=64)["engine"]["max_num_seqs"], 16384)
        few = at(max_num_batched_tokens=100)
        self.assertEqual((few["results"]["limited_by"], few["results"]["sessions_per_node"],
                          few["engine"]["max_num_seqs"]), ("max_num_seqs", 100, 100))

    def test_pipeline_parallel(self):
        """As etapas pedidas, dentro do nó ou uma por nó; auto é não pedir"""
        inside = self.sized(pipeline_parallel=2)
        self.assertRegex(inside["engine"]["layout"], r"^tp \d pp 2$")
        self.assertEqual(inside["parameters"]["pipeline_parallel"], 2)
        self.assertIn("2 etapas", inside["performance"]["extrapolated"])
        spread = self.sized(tensor_parallel=8, pipeline_parallel=2)
        self.assertEqual((spread["engine"]["layout"], spread["results"]["nodes_per_unit"]),
                         ("tp 8 pp 2", 2))
        self.assertEqual(self.sized(pipeline_parallel="AUTO"), self.sized())
        self.assertEqual(self.sized(pipeline_parallel=1)["results"], self.sized()["results"])
        timed = self.sized(pipeline_parallel=2, max_tpot_ms=500)
        self.assertLessEqual(timed["performance"]["tpot_ms"]["estimate"], 500)
        self.refused(flags(dict(BASE, pipeline_parallel=37)), "--pipeline-parallel 37",
                     "opt-oss-120b em até 8 nós de dgx300")
        for value in ("0", "-2", "x", "", "1.5"):
            self.refused(flags(dict(BASE, pipeline_parallel=value)), "--pipeline-parallel", "auto")

    def test_especulacao(self):
        """As camadas que rascunham tiram sessões do teto, e só há com mtp no catálogo"""
        self.refused(flags(dict(BASE, speculative_tokens=2)), "--speculative-tokens 2", "mtp",
                     "opt-oss-120b")
        self.assertEqual(self.sized(speculative_tokens=0), self.sized())
        self.assertEqual(staged_at(asking("deepseek-r1", "dgx200", speculative_tokens=2), 1), [])
        for value in ("-1", "x", "", "0.5", "33", "1e30"):
            self.refused(flags(dict(BASE, speculative_tokens=value)), "--speculative-tokens",
                         "de 0 a 32")
        group = {"kind": "full", "layers": 1, "kv_heads": 8, "k_dim": 64, "v_dim": 64}
        model = changed(in_catalogue("models", "opt-oss-120b"), mtp={
            "groups": [group], "dense_bytes": 10**9, "expert_bytes": 10**9})
        asked = asking(model, "dgx300", 1000, 131072, tensor_parallel=8)
        plain, drafted = answer(asked), answer(changed(asked, speculative_tokens=2))
        self.assertLess(*(document_of(item)["engine"]["sessions_held"]
                          for item in (drafted, plain)))
        self.assertEqual((plain.kv_bytes, plain.sessions), (drafted.kv_bytes, drafted.sessions))
        document, text = document_of(drafted), report_of(drafted)
        self.assertEqual(document["parameters"]["speculative_tokens"], 2)
        self.assertIn("2 rascunhados por passo", " ".join(text.split()))
        launch = " ".join(explanation_of(drafted)[0]["launch"]).replace("\\", "")
        self.assertIn("--speculative-config '{\"method\": \"mtp\", "
                      "\"num_speculative_tokens\": 2}'", " ".join(launch.split()))
        self.assertNotIn("speculative", " ".join(explanation_of(plain)[0]["launch"]))
        eagle = answer(asking("minimax-m3-nvfp4", "dgx-b200", 8, 8192, speculative_tokens=3))
        launch = " ".join(explanation_of(eagle)[0]["launch"]).replace("\\", "")
        self.assertIn("--speculative-config.method eagle3 --speculative-config.model Inferact/"
                      "MiniMax-M3-EAGLE3-GQA --speculative-config.num_speculative_tokens 3",
                      " ".join(launch.split()))

    def test_kv_que_o_motor_serve(self):
        """nvfp4, só com unidades FP4; MLA, sem escalas por cabeça; a DeepSeek V4, só fp8"""
        latent = {"deepseek-r1", "glm-5"}
        for name in ("opt-oss-120b", "qwen3-next-80b", "nemotron-3-nano", "deepseek-v4", *latent):
            for server in ("dgx300", "dgx200"):
                refused = {"int8": name in latent, "nvfp4": name in latent or server == "dgx200"}
                for precision in ("fp8", "fp16", "bf16", "int8", "nvfp4"):
                    bad = precision != "fp8" if name == "deepseek-v4" else refused.get(precision)
                    asked = asking(name, server, 1, 4096, kv_precision=precision)
                    with self.subTest(name=name, server=server, precision=precision):
                        if not bad:
                            self.assertTrue(answer(asked).sessions)
                            continue
                        with self.assertRaises(SizingError) as caught:
                            answer(asked)
                        self.assertEqual(caught.exception.status, 2)
                        self.assertIn("--kv-precision '%s'" % precision, str(caught.exception))
                        self.assertIn("KV em fp8", str(caught.exception))
        self.refused(flags(dict(BASE, server="dgx200", kv_precision="nvfp4")),
                     "--kv-precision 'nvfp4'", "dgx200", "fp8, fp16, bf16, int8")
        rows = json.loads(self.ok(*flags(dict(BASE, server="dgx200,dgx300")),
                                  "--kv-precision=fp8,nvfp4", "--json"))
        self.assertEqual([("error" in row) for row in rows], [False, True, False, False])
        self.assertIn("--kv-precision", rows[1]["error"])
        # uma escolha que não há não é o que mudaria a resposta
        changes = [row["change"] for row in explanation_of(answer(
            asking("deepseek-v4", "dgx300", 10, 4096)))[0]["alternatives"]]
        self.assertNotIn("KV fp16", changes)
        self.assertIn("n+1", changes)

    def test_kv_de_menos_bits(self):
        """int8 guarda uma escala de 4 bytes por cabeça, que o plano não conta; nvfp4, 9/16"""
        def at(precision, **changes):
            return self.sized(**dict({"model": "llama-3.1-8b", "tensor_parallel": 1,
                                      "effective_context": "32k", "kv_precision": precision},
                                     **changes))

        fp8, int8, nvfp4 = map(at, ("fp8", "int8", "nvfp4"))
        self.assertEqual(int8["engine"]["block_bytes"] * 128, fp8["engine"]["block_bytes"] * 132)
        self.assertEqual(nvfp4["engine"]["block_bytes"] * 16, fp8["engine"]["block_bytes"] * 9)
        bytes_of = [document["results"]["kv_per_session_bytes"] for document in (fp8, int8, nvfp4)]
        self.assertEqual(bytes_of, [bytes_of[0], bytes_of[0], bytes_of[0] * 9 // 16])
        self.assertIn("1.031 vezes", " ".join(int8["warnings"]))
        # um estado linear não tem cabeças de K e V
        for group in in_catalogue("models", "qwen3-next-80b").kv_groups:
            rank = [group.rank_bytes(precision, 1, False) for precision in ("fp8", "int8")]
            self.assertEqual(rank[0] == rank[1], group.kind == "linear")

    def test_mais_hbm(self):
        """A recusa que 0.92 ou 0.95 da HBM resolveria o diz, com a menor das duas"""
        four = dict(listed("servers", "dgx-b200"), name="b200-4x", aliases=[], gpus=4,
                    product="Servidor com 4 B200", total_hbm_gb=720, nvlink_domain_gpus=4)
        # o que a primeira sessão pede, em tp 4, é 93.5% ou 91% da HBM
        least = first_session_bytes(asking("deepseek-r1", entry_of("servers", four), 1, 8192), 4)
        rows = [(dict(four, hbm_usable_gib_per_gpu=round(least / ratio / 2**30, 2)), enough, other)
                for ratio, enough, other in ((0.935, "0.95", "0.92"), (0.91, "0.92", "0.95"))]
        for server, enough, other in rows:
            with self.subTest(enough), temporary_file({"servers": [server]}) as path:
                question = {"model": "deepseek-r1", "server": "b200-4x", "servers_file": path,
                            "effective_context": "8k", "concurrency": 1, "tensor_parallel": 4,
                            "pipeline_parallel": 1}
                self.assertNotIn(other, self.refused(
                    flags(question), "faltam", "cabe com --gpu-memory-utilization " + enough,
                    status=3))
                self.ok(*flags(dict(question, gpu_memory_utilization=enough)))
                self.assertNotIn("--gpu-memory", self.refused(flags(dict(
                    question, gpu_memory_utilization=enough, effective_context="128k",
                    model="deepseek-v3", weights_precision="bf16")), status=3))
                del question["tensor_parallel"], question["pipeline_parallel"]
                self.refused(flags(dict(question, nodes=1)),
                             "--nodes 2 ou --gpu-memory-utilization " + enough, status=3)
                self.assertIn("%d%% da HBM: 1 nó" % (100 * float(enough)),
                              self.ok(*flags(question)))

    def test_precisao_dos_pesos(self):
        """Convertidos, os pesos têm os bits da precisão; os embeddings ficam em 16"""
        bits = {"bf16": (16, 16), "fp16": (16, 16), "fp8": (8, 8), "int8": (8, 8),
                "mxfp4": (4.25, 16), "nvfp4": (4.5, 16), "int4": (4.125, 16)}
        for name in ("deepseek-r1", "llama-3.1-70b"):
            model = listed("models", name)
            experts, embedding = model.get("params_experts", 0), model["params_embedding"]
            linear = model["params_total"] - experts - embedding
            for precision, (narrow, wide) in bits.items():
                if precision == model["native_precision"]:
                    continue
                loaded_bytes = weight_bytes(asking(name, "dgx300", weights_precision=precision))
                expected = 2 * embedding + experts * narrow / 8 + linear / 8 * (
                    wide if experts else narrow)
                self.assertAlmostEqual(loaded_bytes, expected, delta=2, msg=(name, precision))

    def test_sem_dados(self):
        """Modelo ou servidor só com os campos básicos: o plano vale e o aviso diz o que falta"""
        basic = {"name", "num_layers", "num_key_value_heads", "head_dim", "notes", "source",
                 "max_position_embeddings", "attention_pattern", "hybrid_full_layers",
                 "hybrid_sliding_layers", "sliding_window", "default_kv_precision"}
        document = catalogue("models")
        document["models"][0] = {key: value for key, value in document["models"][0].items()
                                 if key in basic}
        with temporary_file(document) as path:
            sized = self.sized(models_file=path)
            self.assertNotIn("HBM por nó", self.ok(*flags(dict(BASE, models_file=path))))
        self.assertEqual(sized["results"]["sessions_per_node"], 613)
        self.assertEqual(sized["results"]["limited_by"], "plan")
        self.assertNotIn("engine", sized)
        self.assertRegex(" ".join(sized["warnings"]), "no_ceiling.*vocab_size.*weights_dense_bytes")
        self.assertNotIn("no_speed", self.codes(sized))  # um aviso só diz o que falta
        servers = catalogue("servers")
        del servers["servers"][0]["hbm_usable_gib_per_gpu"]
        with temporary_file(servers) as path:
            sized = self.sized(servers_file=path)
            for flag in ("--tensor-parallel=8", "--gpu-memory-utilization=0.8",
                         "--weights-precision=bf16", "--max-num-seqs=9",
                         "--max-num-batched-tokens=4096", "--pipeline-parallel=2"):
                self.refused([*flags(dict(BASE, servers_file=path)), flag], flag.split("=")[0],
                             "hbm_usable_gib_per_gpu")
        self.assertRegex(" ".join(sized["warnings"]), "no_ceiling.*hbm_usable_gib_per_gpu$")
        models = catalogue("models")
        del models["models"][0]["weights_expert_bytes"]
        with temporary_file(models) as path:
            self.assertNotIn("engine", self.sized(models_file=path))
        for name, field in (("qwen3-32b", "params_total"), ("qwen3-32b", "params_embedding"),
                            ("qwen3-235b-a22b", "params_experts")):
            models = catalogue("models")
            del next(m for m in models["models"] if m["name"] == name)[field]
            asked = dict(BASE, model=name, effective_context=32768)
            with self.subTest(field=field), temporary_file(models) as path:
                asked["models_file"] = path
                self.assertIn("engine", self.sized(**asked))
                self.refused([*flags(asked), "--weights-precision=nvfp4"], "--weights-precision",
                             field)

    def test_tipos_de_cache(self):
        """KV por sessão de cada tipo de camada, pela fórmula, em bf16 (a V4, só em fp8)"""
        rows = (
            # MLA: 61 · (512 + 64) · n · 2, sem fator 2 de K e V
            ("deepseek-r1", 32768, 61 * 576 * 32768 * 2),
            # DSA: mais 132 bytes por token e camada
            ("deepseek-v3.2", 32768, 61 * 576 * 32768 * 2 + 61 * 132 * 32768),
            # Llama 4: 12 camadas completas e 36 em blocos de 8192
            ("llama-4-scout", 131072, (12 * 131072 + 36 * 8192) * 2 * 8 * 128 * 2),
            # Qwen3-Next: 12 completas com 2 KV heads de 256; 36 gated delta net de estado fixo
            ("qwen3-next", 8192, 12 * 2 * 2 * 256 * 8192 * 2 + 36 * (
                32 * 128 * 128 * 2 + (2 * 16 * 128 + 32 * 128) * 3 * 2)),
            # Gemma 4: 10 completas com 4 heads de 512, 50 de janela com 16 de 256
            ("gemma-4-31b", 131072, (10 * 131072 * 2 * 4 * 512 + 50 * 1024 * 2 * 16 * 256) * 2),
            # DeepSeek V4: janela em 61 camadas, comprimidas 1:4 (com indexador) e 1:128
            ("deepseek-v4", 131072, (61 * 128 + 30 * 32768 + 31 * 1024) * 512
             + 30 * 32768 * 132),
        )
        for model, context, expected in rows:
            with self.subTest(model):
                document = self.sized(
                    model=model, effective_context=context, concurrency=1,
                    kv_precision="fp8" if model == "deepseek-v4" else "bf16")
                self.assertEqual(document["results"]["kv_per_session_bytes"], expected)

    def test_area_dos_especialistas(self):
        """A área de MoE é da largura de cada GPU do tp; um token do indexador leva escalas"""
        scout = asking("llama-4-scout", "dgx200")  # 5120 de largura, e 8192 num especialista
        for tp, width in ((1, 8192), (2, 4096), (3, 2731), (8, 1024)):
            self.assertEqual(sizing.moe_bytes(scout, tp), 2 * 8192 * (
                max(width, 5120) + max(2 * width, 5120)))
        most = scout.server.hbm_usable_gib_per_gpu * Fraction(9, 10) * 2**30
        self.assertEqual(scout.usable_bytes, math.floor(most))
        self.assertNotEqual(scout.usable_bytes, most)
        unknown = changed(scout.server, compute_capability=None)
        self.assertEqual((scout.server.generation, unknown.generation), (9, 0))
        self.assertEqual([sizing.group_of(kind, 1, state_bytes=1, heads=1).align_tokens
                          for kind in ("linear", "mamba2", "kda")], [64, 16, 128])
        for dim, scales in ((127, 1), (128, 1), (129, 2), (256, 2)):
            for kind, more in (("indexer", {}), ("compressed_indexer", {"ratio": 4})):
                group = sizing.group_of(kind, 1, index_head_dim=dim, **more)
                self.assertEqual(group.token_bytes(1), dim + 4 * scales)

    def test_grupos_ruins(self):
        """Grupos malformados são recusados com o caminho"""
        good = {"kind": "full", "layers": 36, "kv_heads": 8, "k_dim": 64, "v_dim": 64}
        rows = (
            ([dict(good, kind="ring")], "groups[0].kind = 'ring'"),
            ([dict(good, layers=0)], "groups[0].layers = 0"),
            ([dict(good, layers=True)], "groups[0].layers = true"),
            ([dict(good, window=5)], "groups[0].window = 5"),
            ([{"kind": "full", "layers": 36}], "groups[0].kv_heads = null"),
            ([dict(good, layers=30)], "groups = 30"), ([good, good], "groups = 72"),
            ([{"kind": "none", "layers": 36}], "guarda cache"), ([{}], "groups[0].kind = null"),
        )
        for groups, words in rows:
            document = catalogue("models")
            document["models"][0].update(
                attention_pattern="groups", hybrid_full_layers=None, hybrid_sliding_layers=None,
                sliding_window=None, groups=groups)
            with self.subTest(groups=groups), temporary_file(document) as path:
                self.refused([*flags(BASE), "--models-file", path], "models[0]." + words
                             if words.startswith("groups") else words)

    def test_memoria_nunca_estoura(self):
        """Em centenas de perguntas ao acaso, pesos + motor + blocos cabem, e mais uma sessão não"""
        generator, checked = random.Random(7), 0
        models, servers = entries_of("models"), entries_of("servers")
        for _ in range(rounds(600, 130)):
            model, server = generator.choice(models), generator.choice(servers)
            wide = "fp8" if "deepseek-v4" in model.name else "bf16"
            question = asking(
                model, server, kv_precision=generator.choice(("fp8", wide)),
                kv_budget_ratio=Fraction(generator.randint(1, 10), 10),
                runtime_overhead_gib=generator.randint(1, 200), ha_mode="n+1",
                gpu_memory_utilization=Fraction(generator.randint(50, 100), 100),
                concurrency=generator.randint(1, 5000), context=generator.randint(1, 200000))
            result = answer_to(question)
            if result is None:
                continue
            checked += 1
            replica = replica_of(result)
            rank, tokens = replica.sessions // replica.dp, question.max_num_batched_tokens
            for sessions, fits in ((rank, True), (rank + 1, False)):
                used = 1 + replica.reserved_blocks + (sessions - 1) * replica.held_blocks
                total = (replica.weights_bytes + runtime_bytes(replica, sessions)
                         + used * replica.block_bytes)
                if fits or rank < tokens:  # uma sequência gera ao menos um token por passo
                    self.assertEqual(total <= replica.usable_bytes, fits)
            node = max(0, result.budget_bytes // result.kv_bytes)
            plan = result.unit * node or result.unit * result.budget_bytes // result.kv_bytes
            (_, nodes, ceiling), *others = layouts_of(result)
            self.assertEqual(ceiling, replica.sessions * replica.per_unit)
            self.assertEqual(result.sessions, min(plan, ceiling))
            limits = ("plan",) if plan <= ceiling else ("engine_memory", "max_num_seqs")
            self.assertIn(result.limited_by, limits)
            for _, other, _ in others:
                self.assertLessEqual(nodes, other)
            self.screen(report_of(result), 27)
            json.dumps(document_of(result))
        self.assertGreater(checked, rounds(300, 65))



# ── Os blocos do motor ────────────────────────────────────────────────────────────────────────

# Do vLLM 0.33 em execução, com 8192 tokens por passo: modelo, servidor, KV, tp e contexto; bytes de
# um bloco numa GPU, tokens por bloco de cada grupo, blocos que uma sessão guarda e reserva.
MEASURED_BLOCKS = """
llama-3.1-8b-instruct dgx200 bf16 1 8192 2097152 16 512 512
llama-3.3-70b-instruct dgx300 fp8 1 131072 2621440 16 8192 8192
qwen3-235b-a22b dgx200 bf16 8 32768 770048 16 2048 2048
minimax-m2 dgx200 fp8 1 32768 2031616 16 2048 2048
glm-4.5-air dgx200 bf16 8 8192 376832 16 512 512
llama-3_3-nemotron-super-49b-v1 dgx200 fp8 1 8192 1605632 16 512 512
opt-oss-120b dgx300 bf16 1 8192 589824 16,16 521 1025
opt-oss-120b dgx200 fp8 1 8192 294912 16,16 521 1025
opt-oss-120b dgx300 fp8 8 131072 36864 16,16 8201 9225
opt-oss-120b dgx200 bf16 8 32768 73728 16,16 2057 3081
gemma-2-27b-it dgx200 bf16 1 8192 3014656 16,16 769 1025
gemma-3-27b-it dgx200 fp8 8 131072 81920 16,16,16,16,16,16,16 8582 14726
gemma-3-27b-it dgx200 bf16 8 32768 163840 16,16,16,16,16,16,16 2438 8582
c4ai-command-a-03-2025 dgx200 bf16 8 8192 131072 16,16,16,16 1283 2051
gemma-4-31b-it dgx300 fp8 8 131072 655360 64,64,64,64,64,64 2133 3413
gemma-4-31b-it dgx200 fp8 1 8192 5242880 64,64,64,64,64,128 149 709
gemma-4-31b-it dgx300 bf16 1 131072 10485760 64,64,64,64,64,128 1109 2389
gemma-4-31b-it dgx200 bf16 1 32768 2621440 16,16,16,16,16,32 1349 6469
llama-4-scout-17b-16e-instruct dgx200 fp8 1 32768 393216 16,16,16,16 3584 6656
llama-4-scout-17b-16e-instruct dgx200 bf16 1 131072 786432 16,16,16,16 9728 12800
deepseek-r1 dgx300 bf16 8 131072 2248704 32 4096 4096
deepseek-r1 dgx200 fp8 8 8192 2248704 64 128 128
kimi-k2-instruct dgx200 bf16 1 8192 1124352 16 512 512
deepseek-v3.2 dgx300 fp8 8 8192 2764032 64 128 128
deepseek-v3.2 dgx300 bf16 1 8192 5012736 64 128 128
deepseek-v3.2 dgx200 fp8 8 8192 3076352 64 128 128
deepseek-v3.2 dgx200 bf16 8 32768 5012736 64 512 512
deepseek-v4-pro dgx200 fp8 8 131072 1435968 4,8,64,64,256 538 7194
deepseek-v4-pro dgx300 fp8 1 8192 1435968 4,8,64,64,256 58 3364
qwen3.5-27b dgx200 bf16 8 131072 7340032 448,448,448,448 296 302
qwen3.5-27b dgx200 fp8 8 8192 6815744 832,832,832,832 13 19
nvidia-nemotron-3-nano-30b-a3b-bf16 dgx200 bf16 1 32768 12877824 2096,2096,2096,2096,2096 20 28
nvidia-nemotron-3-nano-30b-a3b-bf16 dgx200 fp8 8 8192 1622016 1056,1056,1056,1056,1056 12 20
granite-4.0-h-small dgx200 fp8 1 8192 8650752 %s 17 35
granite-4.0-h-small dgx200 bf16 1 32768 8650752 %s 72 90
""" % (",".join(["1056"] * 10), ",".join(["528"] * 10))
HEAD_KINDS = {"full", "sliding", "chunked"}  # com cabeças de K e de V
# Grupos de modelos fora do catálogo, como models.json os diria.
OUTSIDE = {
    "mistral-7b-v0.1": ({"kind": "sliding", "layers": 32, "kv_heads": 8, "k_dim": 128,
                         "v_dim": 128, "window": 4096},),
    "nemotron-h-56b": (
        {"kind": "mamba2", "layers": 54, "state_bytes": 4 * 256 * 64 * 256 + 6 * 20480,
         "heads": 256},
        {"kind": "full", "layers": 10, "kv_heads": 8, "k_dim": 128, "v_dim": 128}),
    "kimi-k3": (
        {"kind": "linear", "layers": 69, "state_bytes": 4 * 96 * 128**2 + 6 * 36864, "heads": 96},
        {"kind": "mla", "layers": 24, "kv_lora_rank": 512, "qk_rope_head_dim": 64})}


class Blocos(Case):
    """Os blocos do cache: a regra do vLLM 0.33, e o que nunca piora com mais recursos"""

    def combinations(self, seed, full, quick):
        """(generator, modelo, servidor) ao acaso, sem repetir pares."""
        generator = random.Random(seed)
        pairs = list(itertools.product(catalogue("models")["models"],
                                       catalogue("servers")["servers"]))
        generator.shuffle(pairs)
        for model, server in pairs[:rounds(full, quick)]:
            yield generator, model, server

    def precision_of(self, generator, model):
        """Uma que o motor serve neste modelo."""
        kinds = {kind for kind, _, _ in naive_specs(model)}
        if "compressed" in kinds:
            return "fp8"
        return generator.choice(("fp8", "bf16", "int8") if kinds <= HEAD_KINDS else (
            "fp8", "bf16"))

    def test_motor(self):
        """Bytes, tokens e blocos são os que o motor calculou, também pela segunda conta"""
        for row in MEASURED_BLOCKS.strip().splitlines():
            model, server, precision, *numbers, held, reserved = row.split()
            tp, context, size = map(int, numbers[:3])
            question = asking(model, server, 1, context, kv_precision=precision,
                              max_num_batched_tokens=8192)
            blocks = blocks_at(question, tp)
            naive = NaiveBlocks(listed("models", model), listed("servers", server), precision, tp)
            expected = [size, int(held), int(reserved)]
            with self.subTest(row):
                self.assertEqual([blocks.block_bytes, *blocks.of_session(context)], expected)
                self.assertEqual([naive.bytes, naive.held(context),
                                  naive.reserved(context, 8192)], expected)
                self.assertEqual(sorted(item.block_tokens for item in blocks.groups),
                                 sorted(map(int, numbers[3].split(","))))
                specs = naive_specs(listed("models", model))
                if {kind for kind, _, _ in specs} <= HEAD_KINDS:
                    self.assertEqual(sum(item.layers for item in blocks.groups),
                                     sum(layers for _, layers, _ in specs))

    def test_como_no_motor(self):
        """Bytes, grupos, reserva e o que se guarda: de uma a três perguntas de cada tipo"""
        rows = (  # o escalonador de verdade, com 8192 tokens por passo; camadas:tokens do bloco
            ("llama-3.1-8b-instruct", "dgx200", "fp8", 8, 32768, 131072, "32:16", 2048, 2048),
            ("mistral-7b-v0.1", "dgx200", "bf16", 1, 32768, 2097152, "32:16", 257, 1281),
            ("opt-oss-120b", "dgx200", "fp8", 1, 131072, 294912, "2x18:16", 8201, 9225),
            ("opt-oss-120b", "dgx300", "bf16", 1, 131072, 589824, "2x18:16", 8201, 9225),
            ("gemma-3-27b-it", "dgx200", "bf16", 1, 32768, 1310720,
             "2x8:16 4x9:16 10:16", 2438, 8582),
            ("gemma-4-31b-it", "dgx200", "fp8", 1, 32768, 5242880, "5x10:64 10:128", 341, 1621),
            ("gemma-4-31b-it", "dgx200", "bf16", 8, 131072, 327680, "6x10:16", 8517, 13637),
            ("gemma-4-31b-it", "dgx300", "bf16", 1, 131072, 10485760, "5x10:64 10:128", 1109, 2389),
            ("llama-4-scout-17b-16e-instruct", "dgx200", "fp8", 8, 131072, 49152,
             "4x12:16", 9728, 12800),
            ("deepseek-r1", "dgx200", "bf16", 1, 8192, 1124352, "61:16", 512, 512),
            ("deepseek-r1", "dgx200", "fp8", 8, 131072, 2248704, "61:64", 2048, 2048),
            ("deepseek-r1", "dgx300", "fp8", 8, 131072, 1124352, "61:32", 4096, 4096),
            ("deepseek-v3.2", "dgx200", "fp8", 8, 131072, 3076352, "122:64", 2048, 2048),
            ("deepseek-v3.2", "dgx300", "fp8", 8, 131072, 2764032, "122:64", 2048, 2048),
            ("deepseek-v4-pro", "dgx200", "fp8", 8, 131072, 1435968,
             "30:64 31:8 31:64 60:4 91:256", 538, 7194),
            ("deepseek-v4-pro", "dgx300", "fp8", 1, 8192, 1435968,
             "30:64 31:8 31:64 60:4 91:256", 58, 3364),
            ("qwen3-next", "dgx200", "bf16", 1, 32768, 14155776, "4x12:576", 60, 66),
            ("qwen3-next", "dgx300", "fp8", 1, 8192, 13369344, "4x12:1088", 11, 17),
            ("qwen3.5-27b", "dgx200", "bf16", 8, 32768, 7340032, "4x16:448", 77, 83),
            ("nvidia-nemotron-3-nano-30b-a3b-bf16", "dgx200", "bf16", 1, 8192, 12877824,
             "5:2096 4x6:2096", 8, 16),
            ("nvidia-nemotron-3-nano-30b-a3b-bf16", "dgx200", "fp8", 8, 131072, 1622016,
             "5:1056 4x6:1056", 129, 137),
            ("nemotron-h-56b", "dgx200", "fp8", 8, 8192, 21135360, "6x9:8256 10:8256", 7, 19),
            ("granite-4.0-h-small", "dgx200", "bf16", 1, 131072, 8650752, "10x4:528", 258, 276),
            ("kimi-k3", "dgx200", "bf16", 8, 32768, 21233664, "3x23:768 24:768", 46, 52),
        )
        for name, server, kv_precision, tp, context, *expected in rows:
            model = in_catalogue("models", name) if name not in OUTSIDE else changed(
                in_catalogue("models", "llama-3.1-8b"), attention_pattern="groups",
                groups=OUTSIDE[name], max_position_embeddings=2**20)
            with self.subTest(name=name, server=server, kv_precision=kv_precision, tp=tp):
                self.assertEqual(blocks_of(model, server, kv_precision, tp, context,
                                           max_num_batched_tokens=8192), tuple(expected))

    def test_camadas_que_rascunham(self):
        """Uma camada MTP alarga todos os grupos, e um estado linear guarda um rascunho cada"""
        rows = (
            ("deepseek-r1", "fp8", 8, 62 * 64 * 576, "62:64", 512, 512),
            ("deepseek-v3.2", "fp8", 8, 62 * 64 * (656 + 132), "124:64", 512, 512),
            ("deepseek-v4-pro", "fp8", 8, 1435968, "31:8 2x31:64 60:4 91:256", 154, 6810),
            ("glm-4.5", "fp8", 8, 93 * 16 * 256, "93:16", 2048, 2048),
            ("qwen3-next", "bf16", 1, 13 * 576 * 2048, "3x12:576 13:576", 57 + 3 * 3, 57 + 3 * 5),
            ("nvidia-nemotron-3-ultra-550b-a55b-bf16", "fp8", 8, 13 * 4160 * 256,
             "4x12:4160 13:4160", 8 + 4 * 3, 8 + 4 * 5))
        for name, kv_precision, tp, *expected in rows:
            with self.subTest(name):
                self.assertEqual(blocks_of(name, "dgx200", kv_precision, tp, 32768,
                                           max_num_batched_tokens=8192, speculative_tokens=2),
                                 tuple(expected))

    def test_segunda_implementacao(self):
        """Em todo modelo e servidor, com tp e etapas, os blocos são os da segunda conta"""
        kinds = collections.Counter()
        for generator, model, server in self.combinations(21, 1000, 120):
            precision = self.precision_of(generator, model)
            question = asking(model["name"], server["name"], kv_precision=precision)
            pipelines = (1,) if precision == "fp8" and "v4" in model["name"] else (1, 2, 3)
            for tp, pp in itertools.product(tensor_parallel_ways(question), pipelines):
                blocks = blocks_at(question, tp, pp)
                naive = NaiveBlocks(model, server, precision, tp, pp)
                tokens = question.max_num_batched_tokens
                for context in (1, 65, generator.randint(100, 5000), generator.randint(1, 10**6)):
                    self.assertEqual(
                        (blocks.block_bytes, *blocks.of_session(context),
                         blocks.shared(context)),
                        (naive.bytes, naive.held(context), naive.reserved(context, tokens),
                         naive.shared(context)),
                        (model["name"], server["name"], precision, tp, pp, context))
                widths = {item.layers + item.padding_layers for item in blocks.groups}
                if "v4" not in model["name"]:
                    self.assertEqual(len(widths), 1)
            kinds.update({kind for kind, _, _ in naive_specs(model)})
        self.assertEqual(set(kinds), {kind for model in catalogue("models")["models"]
                                      for kind, _, _ in naive_specs(model)})

    def test_larguras_e_janelas(self):
        """Baldes em torno de 1.5, páginas que não se dividem e janelas que não são de 16 tokens"""
        base, server = listed("models", "opt-oss-120b"), listed("servers", "dgx200")
        for full, sliding, window, widths in (
                (18, 18, 128, {18}), (12, 17, 129, {17}), (12, 18, 17, {12}), (12, 19, 1, {12}),
                (19, 12, 100, {12}), (5, 30, 4096, {5})):
            raw = dict(base, num_layers=full + sliding, hybrid_full_layers=full, moe_layers=1,
                       hybrid_sliding_layers=sliding, sliding_window=window)
            self.same_blocks(raw, server, widths)
        head = {"kv_heads": 4, "k_dim": 128, "v_dim": 128}
        for kv_heads, tokens in ((2, (32, 16)), (3, (16, 16)), (8, (16, 32)), (10, (16, 16))):
            groups = [dict(head, kind="sliding", layers=10, kv_heads=kv_heads, window=1000),
                      dict(head, kind="full", layers=10)]
            raw = dict(base, num_layers=20, hybrid_full_layers=None, hybrid_sliding_layers=None,
                       sliding_window=None, attention_pattern="groups", groups=groups,
                       moe_layers=1)
            blocks = self.same_blocks(raw, server, {10})
            self.assertEqual([item.block_tokens for item in blocks.groups], list(tokens))

    def same_blocks(self, raw, server, widths):
        """Confere com a segunda conta, em fp8 e tp 1, e devolve os blocos."""
        question = asking(entry_of("models", raw), server["name"])
        blocks, naive = blocks_at(question, 1), NaiveBlocks(raw, server, "fp8", 1)
        self.assertEqual({item.layers + item.padding_layers for item in blocks.groups}, widths)
        for context in (1, 16, 17, 99, 130, 5000, 70000):
            self.assertEqual(
                (blocks.block_bytes, *blocks.of_session(context)),
                (naive.bytes, naive.held(context), naive.reserved(context, 8192)), (raw, context))
        return blocks

    def test_tensor_parallel(self):
        """Acima das cabeças de KV cada GPU leva uma inteira; a gpt-oss não pode"""
        for model, ways in (("opt-oss-120b", [1, 2, 4, 8]), ("opt-oss-20b", [1, 2, 4, 8]),
                            ("llama-3.3-70b", [1, 2, 4, 8, 16, 32, 64])):
            self.assertEqual(tensor_parallel_ways(asking(model, "gb200-nvl72")), ways)

    def test_sem_etapas_no_empate(self):
        """Com os mesmos nós, o leiaute sem etapas, que tem velocidade, ainda que admita menos"""
        found = answer(asking("deepseek-r1", "dgx200", 5, 32768))
        ceilings = {name: sessions for name, _, sessions in every_layout_of(found)}
        self.assertGreater(ceilings["tp 1 pp 8"], ceilings["dp 8"])
        self.assertEqual(replica_of(found).pp, 1)
        # onde as etapas num nó admitem mais, ele compra menos
        found = answer(asking("qwen3-next", "dgx200", 4000, 8192, peak_headroom_ratio=Fraction(0)))
        self.assertEqual((found.nodes_final, replica_of(found).tp, replica_of(found).pp), (1, 2, 4))

    def test_guardados_e_reservados(self):
        """Reserva-se ao menos o que se guarda; mais contexto nunca guarda nem reserva menos"""
        for generator, model, server in self.combinations(22, 1000, 80):
            precision = self.precision_of(generator, model)
            question = asking(model["name"], server["name"], kv_precision=precision)
            blocks = blocks_at(question, 1, generator.choice((1, 4)))
            before = (1, 1)
            for context in sorted(generator.sample(range(1, 300000), 20)):
                seen = blocks.of_session(context)
                self.assertLessEqual(seen[0], seen[1])
                self.assertEqual(tuple(map(max, before, seen)), seen)
                prefix = generator.randint(0, context - 1)
                self.assertLessEqual(blocks.shared(prefix), seen[0])
                before = seen

    def test_sessoes(self):
        """1 + (B − 1 − R) // D sessões; a primeira, só com a reserva inteira além do bloco nulo"""
        for generator, model, server in self.combinations(23, 1000, 60):
            precision, context = self.precision_of(generator, model), generator.randint(1, 200000)
            question = asking(model["name"], server["name"], 1, context, kv_precision=precision,
                              max_num_seqs=generator.choice((1, 7, 10**6)))
            context = question.effective_context
            tp, pp = generator.choice(tensor_parallel_ways(question)), generator.choice((1, 2))
            pp = 1 if "v4" in model["name"] else pp
            _, at_pool = replicas_at(question, tp, pp, 1)
            naive = NaiveBlocks(model, server, precision, tp, pp)
            held = naive.held(context)
            reserved = naive.reserved(context, question.max_num_batched_tokens)
            for blocks in (0, 1, reserved, reserved + 1, reserved + held, reserved + held + 1,
                           generator.randint(0, 10**6)):
                pool = at_pool(blocks * naive.bytes + generator.randrange(naive.bytes))
                self.assertEqual((pool.kv_blocks, pool.held), (
                    blocks, naive_sessions(blocks, held, reserved)), (model["name"], server["name"],
                                                                      tp, pp, context))
                self.assertEqual(pool.logged, Fraction(blocks, reserved))
                self.assertEqual(pool.sessions, min(pool.held, pool.max_num_seqs))
            self.assertEqual((at_pool(-1).kv_blocks, at_pool(-1).held), (0, 0))
            # um byte a menos que a reserva e o bloco nulo, e o motor não inicia
            needed = (reserved + 1) * naive.bytes
            self.assertEqual([at_pool(needed - short).held for short in (0, 1)], [1, 0])

    def test_ancoras(self):
        """gpt-oss em 50 GiB; larguras da Gemma 3; páginas do Qwen3-Next; blocos da DeepSeek V4"""
        question = asking("opt-oss-120b", "dgx200", 1, 131072, max_num_seqs=64)
        _, at_pool = replicas_at(question, 1, 1, 1)
        pool = at_pool(50 * 2**30)
        self.assertEqual((pool.block_bytes, pool.kv_blocks, pool.held), (294912, 182044, 22))
        self.assertEqual("%.2f" % pool.logged, "19.73")
        gemma = blocks_at(asking("gemma-3-27b", "dgx200", kv_precision="bf16"), 1)
        self.assertEqual([item.layers + item.padding_layers for item in gemma.groups], [10] * 7)
        self.assertEqual(sum(item.padding_layers for item in gemma.groups), 8)
        for precision, tokens, padding in (("bf16", 576, "7.46"), ("fp8", 1088, "1.49")):
            blocks = blocks_at(asking("qwen3-next-80b", "dgx200", kv_precision=precision), 1)
            self.assertEqual({item.block_tokens for item in blocks.groups}, {tokens})
            state = 32 * 128 * 128 * 2 + (2 * 16 * 128 + 32 * 128) * 3 * 2
            self.assertEqual("%.2f" % (100 * (blocks.block_bytes / (12 * state) - 1)), padding)
        pro = listed("models", "deepseek-v4")
        flash = dict(pro, num_layers=43, moe_layers=43, groups=[
            dict(group, layers={None: 43, 4: 21, 128: 20}[group.get("ratio")])
            for group in pro["groups"]])
        for raw, size in ((flash, 1002240), (pro, 1435968)):
            for tp in (1, 8):
                blocks = blocks_at(asking(entry_of("models", raw), "dgx300"), tp)
                self.assertEqual(blocks.block_bytes, size)
                for context in (8192, 100001):
                    self.assertEqual(blocks.of_session(context)[0], ceiling(context, 256) + 26)

    def test_etapas(self):
        """Cada etapa fica com a sua parte das camadas, e cada ponta com a sua tabela"""
        six = changed(in_catalogue("servers", "dgx200"), gpus=6, total_hbm_gb=6 * 141)
        pipes = {(item.tp, item.pp) for item in staged_at(asking("llama-3.3-70b", six), 1)}
        self.assertEqual(pipes, {(1, 2), (1, 3), (1, 6), (2, 3)})
        pipes = {(item.tp, item.pp) for item in staged_at(
            asking("llama-3.3-70b", six, pipeline_parallel=3), 1)}
        self.assertEqual(pipes, {(1, 3), (2, 3)})  # ou as etapas pedidas
        # todo tp que enche o nó, e etapas nas outras GPUs de todos
        for nodes in (2, 3, 8):
            self.assertEqual([(item.tp, item.pp) for item in staged_at(
                asking("llama-3.3-70b", six), nodes)], [(1, 6 * nodes), (2, 3 * nodes)])
            self.assertEqual([(item.tp, item.pp) for item in staged_at(
                asking("llama-3.3-70b", "dgx200"), nodes)],
                [(tp, 8 * nodes // tp) for tp in (1, 2, 4, 8) if 8 * nodes // tp <= 80])
            self.assertEqual([(item.tp, item.pp) for item in staged_at(
                asking("llama-3.3-70b", "dgx200", pipeline_parallel=2), nodes)],
                [(8, 2)] if nodes == 2 else [])
        few = changed(in_catalogue("models", "llama-3.1-8b"), num_layers=4)
        self.assertEqual({item.pp for item in staged_at(asking(few, "dgx200"), 1)}, {2, 4})
        self.assertEqual([item.pp for nodes in (4, 5) for item in staged_at(
            asking(few, "dgx200"), nodes)], [4])
        for asked, expected in (({"pipeline_parallel": 4}, {(1, 4), (2, 4)}),
                                ({"tensor_parallel": 2}, {(2, 2), (2, 4)})):
            self.assertEqual({(item.tp, item.pp) for item in staged_at(
                asking("llama-3.3-70b", "dgx200", **asked), 1)}, expected)
        model, raw = in_catalogue("models", "llama-3.3-70b"), listed("models", "llama-3.3-70b")
        table = 2 * raw["vocab_size"] * raw["hidden_size"]  # embeddings; a cabeça é igual
        layers = raw["weights_dense_bytes"] - 2 * table
        rope = 2 * raw["max_position_embeddings"] * raw["head_dim"]
        whole, _ = replicas_at(asking(model, six), 1, 1, 1)
        self.assertEqual(whole.weights_bytes, layers + 2 * table + rope)
        blocks = blocks_at(asking(model, six), 1)
        for pp in (2, 3, 6):
            staged, _ = replicas_at(asking(model, six), 1, pp, 1)
            most = ceiling(80, pp)
            self.assertEqual(staged.weights_bytes, ceiling(layers * most, 80) + table + rope)
            self.assertEqual(blocks_at(asking(model, six), 1, pp).block_bytes,
                             blocks.block_bytes * most // 80)
            self.assertLess(*(graphs_bytes(asking(model, six), stages, 100)
                              for stages in (pp, 1)))
        # um MoE em que três das 61 camadas são densas; a maior etapa pode ser toda de MoE
        experts = listed("models", "deepseek-r1")["weights_expert_bytes"]
        few = changed(in_catalogue("models", "deepseek-r1"), moe_layers=10)
        for model, pp, share in (("deepseek-r1", 2, ceiling(experts * 31, 58)),
                                 ("deepseek-r1", 8, ceiling(experts * 8, 58)), (few, 2, experts)):
            whole, staged = (replicas_at(asking(model, "dgx200"), 1, stages, 1)[0]
                             for stages in (1, pp))
            dense = whole.weights_bytes - experts
            self.assertLess(staged.weights_bytes - share, dense * (1 / pp + 0.13))
            self.assertGreater(staged.weights_bytes - share, dense / pp)

    def test_rascunho(self):
        """A camada que rascunha alarga os grupos e pesa; um estado linear guarda um por token"""
        full = {"kind": "full", "layers": 1, "kv_heads": 2, "k_dim": 256, "v_dim": 256}
        model = changed(in_catalogue("models", "qwen3-next-80b"),
                        mtp={"groups": [full], "dense_bytes": 10**9, "expert_bytes": 0})
        plain, two = (asking(model, "dgx200", speculative_tokens=drafts) for drafts in (0, 2))
        before, after = blocks_at(plain, 1), blocks_at(two, 1)
        self.assertEqual(after.block_bytes * 12, before.block_bytes * 13)
        self.assertEqual([len(item.groups) for item in (before, after)], [4, 4])
        for context in (100, 8192):  # três grupos lineares
            self.assertEqual(after.of_session(context)[0] - before.of_session(context)[0], 3 * 2)
            self.assertEqual(after.of_session(context)[1] - before.of_session(context)[1], 3 * 2)
        light, heavy = (replicas_at(question, 1, 1, 1)[0] for question in (plain, two))
        self.assertEqual(heavy.weights_bytes - light.weights_bytes, 10**9)

    def test_unidades(self):
        """De 1 a 8 nós, sempre: a unidade que compra menos nós, e no empate a menor"""
        # duas unidades de dois nós, ou uma de três; nove nós em três unidades, ou oito em duas
        questions = [asking("opt-oss-120b", "dgx-spark", 1000, 8192),
                     asking("glm-4.5", "rtx-pro-6000-8x", 100, 131072)]
        for generator, model, server in self.combinations(24, 1000, 150):
            asked = asking(model["name"], server["name"], generator.choice((1, 100, 1000)),
                           generator.choice((2048, 8192, 32768, 131072)),
                           ha_mode=generator.choice(("none", "n+1")))
            if weight_bytes(asked) > server["total_hbm_gb"] * 10**9 / 2:
                questions.append(asked)
        wide = 0
        for question in questions:
            found = answer_to(question)
            if found is None:
                self.assertFalse(any(ceilings_of(question).values()))
                continue
            node = found.budget_bytes // found.kv_bytes
            bought = []
            for unit, most in ceilings_of(question).items():
                plan = unit * node or unit * found.budget_bytes // found.kv_bytes
                if min(plan, most) > 0:
                    units = ceiling(found.peak_sessions, min(plan, most))
                    bought.append(((units + (question.ha_mode == "n+1")) * unit, unit))
            self.assertEqual((found.nodes_final, found.unit), min(bought),
                             (question.model.name, question.server.name, question.concurrency,
                              question.effective_context))
            wide += found.unit > 1
        self.assertGreater(wide, 3)

    def test_mais_recursos(self):
        """Mais utilização, HBM ou GPUs, menos tokens ou fp8: nunca mais nós nem menos sessões"""
        changes = 0
        for generator, model, server in self.combinations(25, 1000, 70):
            model, server = in_catalogue("models", model["name"]), in_catalogue(
                "servers", server["name"])
            compressed = "v4" in model.name
            context = generator.choice((2048, 8192, 32768, generator.randint(1024, 200000)))
            question = asking(model, server, generator.choice((1, 5, 100, 3000)), context,
                              kv_precision="fp8" if compressed else "fp16",
                              ha_mode=generator.choice(("none", "n+1")))
            larger = changed(server, **{name: getattr(server, name) * Fraction(11, 10) for name in (
                "hbm_per_gpu_gb", "total_hbm_gb", "hbm_usable_gib_per_gpu")})
            twice = changed(server, **{name: 2 * (getattr(server, name) or 0) for name in (
                "gpus", "total_hbm_gb", "nvlink_domain_gpus")})
            better = [changed(question, gpu_memory_utilization=Fraction(
                          generator.randint(91, 100), 100)),
                      changed(question, context=generator.randint(1024, context)),
                      changed(question, server=larger), changed(question, server=twice),
                      changed(question, kv_precision="fp8")]
            self.never_worse(question, better)
            changes += nodes_for(better[0]) < nodes_for(question)
        self.assertGreater(changes, 0)
        # 22 nós com 90% da HBM eram 130 com 100%; 360 em 8192 tokens, 150 em 205350
        glm = asking("glm-4.5", "rtx-pro-6000-8x", 100, 131072)
        full = changed(glm, gpu_memory_utilization=Fraction(1))
        self.assertLessEqual(nodes_for(full), nodes_for(glm))
        self.assertLess(nodes_for(glm), 22)
        kimi = asking("kimi-k2.5", "h100-nvl-8x", 1000, 205350)
        self.never_worse(kimi, [changed(kimi, context=8192)])
        self.assertLess(nodes_for(kimi), 150)

    def never_worse(self, question, better):
        """Cada uma de `better` compra os mesmos nós ou menos, e nenhum leiaute admite menos."""
        before = answer_to(question)
        held = {row[:2]: row[2] for row in every_layout_of(before)} if before else {}
        for asked in better:
            after = answer_to(asked)
            words = (asked.model.name, asked.server.name, asked.concurrency,
                     question.effective_context, asked.effective_context, asked.kv_precision,
                     asked.ha_mode, asked.gpu_memory_utilization, asked.server.gpus)
            if before is None:
                continue
            self.assertIsNotNone(after, words)
            self.assertLessEqual(after.nodes_final, before.nodes_final, words)
            for name, nodes, sessions in every_layout_of(after):
                if asked.server.gpus == question.server.gpus:
                    self.assertGreaterEqual(sessions, held.get((name, nodes), 0), words)


# ── Velocidade ────────────────────────────────────────────────────────────────────────────────

# Medidas públicas, uma por linha: modelo, servidor, precisão dos pesos (-: a do checkpoint), tp,
# dp, tokens de entrada e de saída, carga, valor, tipo e se entrou no ajuste das constantes. Tipos:
# tpot (sessões na réplica, ms por token, do InferenceX), mtpK (o mesmo, com K rascunhados por
# passo) e max (pedidos da execução, tokens/s da réplica cheia, das tabelas do TensorRT-LLM; MoE com
# atenção em data parallel). KV em bf16 com pesos bf16 do InferenceX, fp8 no resto. De cada tipo e
# lado, as de menor SHA-1 do identificador, escolhidas antes de ver o erro; saíram as execuções com
# mais sessões do que cabem (filas) e as de leiaute ambíguo na fonte.
MEASURED_SPEED = """
deepseek-r1 dgx-b200 - 1 8 922 7373 256 33.41 tpot ajuste
deepseek-r1 dgx-b200 - 4 1 7372 921 1 7.96 tpot ajuste
deepseek-r1 dgx300 - 4 1 7372 921 2 8.86 tpot ajuste
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 1 8 922 7373 128 11.67 tpot ajuste
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 1 8 922 922 64 12.29 tpot ajuste
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 8 1 921 921 1 5.85 tpot ajuste
deepseek-r1-0528-nvfp4-v2 dgx300 - 8 1 921 921 2 6.28 tpot ajuste
deepseek-r1-0528-nvfp4-v2 dgx300 - 8 1 921 921 64 14.77 tpot ajuste
deepseek-r1-0528-nvfp4-v2 dgx300 - 8 1 921 921 8 8.03 tpot ajuste
deepseek-v3 dgx-b200 - 8 1 7373 922 8 12.06 tpot ajuste
deepseek-v3 dgx-b200 - 8 1 922 7373 32 16.75 tpot ajuste
deepseek-v3 dgx-b200 - 8 1 922 7373 4 8.64 tpot ajuste
deepseek-v3 dgx-b200 - 8 1 922 922 4 8.76 tpot ajuste
deepseek-v3 dgx-b200 - 8 1 922 922 64 22.53 tpot ajuste
deepseek-v3 dgx200 - 8 1 7373 922 4 11.27 tpot ajuste
deepseek-v3 dgx200 - 8 1 922 7373 32 22.1 tpot ajuste
deepseek-v3.1-nvfp4 dgx-b200 - 4 1 7373 922 128 59.02 tpot ajuste
deepseek-v3.1-nvfp4 dgx-b200 - 4 1 7373 922 4 13.63 tpot ajuste
deepseek-v3.1-nvfp4 dgx-b200 - 4 1 922 7373 128 30.2 tpot ajuste
deepseek-v4-pro dgx-b200 - 1 8 7372 921 1024 124.75 tpot ajuste
deepseek-v4-pro dgx-b200 - 1 8 7372 921 64 37.76 tpot ajuste
deepseek-v4-pro dgx-b200 - 1 8 921 921 1024 78.3 tpot ajuste
deepseek-v4-pro dgx-b200 - 8 1 921 921 1 9.67 tpot ajuste
deepseek-v4-pro dgx-b200 - 8 1 921 921 4 13.36 tpot ajuste
deepseek-v4-pro dgx200 - 1 8 7372 921 2 26.84 tpot ajuste
deepseek-v4-pro dgx300 - 4 1 7372 921 2 13.7 tpot ajuste
deepseek-v4-pro dgx300 - 4 1 7372 921 32 40.49 tpot ajuste
deepseek-v4-pro dgx300 - 4 1 921 921 1 12.27 tpot ajuste
deepseek-v4-pro dgx300 - 4 1 921 921 128 48.46 tpot ajuste
deepseek-v4-pro dgx300 - 4 1 921 921 32 26.15 tpot ajuste
glm-5-fp8 dgx-b200 - 8 1 7373 922 32 35.05 tpot ajuste
glm-5-fp8 dgx-b200 - 8 1 922 922 128 46.8 tpot ajuste
glm-5-nvfp4 dgx300 - 4 1 7372 921 8 17.31 tpot ajuste
kimi-k2.5 dgx-b200 - 8 1 922 7373 16 15 tpot ajuste
kimi-k2.5 dgx-b200 - 8 1 922 7373 32 20.01 tpot ajuste
kimi-k2.5 dgx-b200 - 8 1 922 7373 64 27.67 tpot ajuste
kimi-k2.5 dgx-b200 - 8 1 922 922 8 11.93 tpot ajuste
kimi-k2.5-nvfp4 dgx-b200 - 4 1 7372 921 2 7.21 tpot ajuste
kimi-k2.5-nvfp4 dgx300 - 4 1 921 921 128 29.09 tpot ajuste
kimi-k2.5-nvfp4 dgx300 - 4 1 921 921 2 6.33 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-b200 - 2 1 922 7373 64 15.01 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-b200 - 2 1 922 7373 8 10.03 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-b200 - 2 1 922 922 64 15.89 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-b200 - 2 1 922 922 8 10.73 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-b200 - 8 1 7373 922 64 19.37 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-b200 - 8 1 922 922 16 6.51 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-b200 - 8 1 922 922 32 7.36 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-b200 - 8 1 922 922 8 5.68 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-h100 - 2 1 922 7373 32 27.69 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-h100 - 2 1 922 7373 4 17.97 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-h100 - 2 1 922 922 4 17.41 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-h100 - 2 1 922 922 64 28.77 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-h100 - 4 1 7373 922 32 32.82 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-h100 - 4 1 922 7373 16 14.09 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx-h100 - 4 1 922 922 8 12.11 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx200 - 8 1 922 7373 128 20.74 tpot ajuste
llama-3.1-70b-instruct-fp8 dgx200 - 8 1 922 922 16 7.69 tpot ajuste
llama-3.1-8b-instruct dgx-h100 - 1 1 2048 128 8 9.32 tpot ajuste
llama-3.1-8b-instruct dgx-h100 - 1 1 4096 128 16 19.6 tpot ajuste
llama-3.1-8b-instruct dgx-h100 - 1 1 4096 256 32 23.22 tpot ajuste
llama-3.1-8b-instruct-fp8 dgx200 - 8 1 8000 100 64 31.05 tpot ajuste
llama-3.3-70b-instruct-nvfp4 dgx-b200 - 2 1 7373 922 4 9.76 tpot ajuste
llama-3.3-70b-instruct-nvfp4 dgx-b200 - 2 1 922 7373 128 18.98 tpot ajuste
llama-3.3-70b-instruct-nvfp4 dgx-b200 - 2 1 922 7373 16 10.04 tpot ajuste
llama-3.3-70b-instruct-nvfp4 dgx-b200 - 4 1 7373 922 16 9.88 tpot ajuste
llama-3.3-70b-instruct-nvfp4 dgx-b200 - 4 1 922 922 64 9.29 tpot ajuste
minimax-m2.5 dgx-b200 - 2 1 7373 922 16 19.71 tpot ajuste
minimax-m2.5 dgx-b200 - 2 1 922 7373 16 15.2 tpot ajuste
minimax-m2.5 dgx-b200 - 2 1 922 7373 8 12.31 tpot ajuste
minimax-m2.5 dgx-b200 - 2 1 922 922 16 15.21 tpot ajuste
minimax-m2.5 dgx-h100 - 8 1 921 921 32 15.17 tpot ajuste
minimax-m2.5 dgx200 - 4 1 7372 921 128 55.76 tpot ajuste
minimax-m2.5 dgx200 - 4 1 7372 921 256 106.6 tpot ajuste
minimax-m2.5 dgx300 - 4 1 922 922 8 8.99 tpot ajuste
minimax-m2.5-nvfp4 dgx-b200 - 2 1 7373 922 16 11.69 tpot ajuste
minimax-m2.5-nvfp4 dgx-b200 - 2 1 7373 922 8 9.05 tpot ajuste
minimax-m2.5-nvfp4 dgx-b200 - 4 1 7373 922 128 26.66 tpot ajuste
minimax-m2.5-nvfp4 dgx-b200 - 4 1 922 922 16 7.3 tpot ajuste
minimax-m2.5-nvfp4 dgx-b200 - 4 1 922 922 256 20.96 tpot ajuste
minimax-m2.5-nvfp4 dgx-b200 - 4 1 922 922 32 10.01 tpot ajuste
minimax-m2.5-nvfp4 dgx-b200 - 4 1 922 922 64 12.12 tpot ajuste
minimax-m3-mxfp8 dgx-b200 - 4 1 7372 921 4 15.33 tpot ajuste
minimax-m3-mxfp8 dgx-b200 - 4 1 921 921 256 44.13 tpot ajuste
minimax-m3-mxfp8 dgx-b200 - 4 1 921 921 64 28.18 tpot ajuste
minimax-m3-mxfp8 dgx-b200 - 8 1 7372 921 4 12.33 tpot ajuste
minimax-m3-mxfp8 dgx-b200 - 8 1 921 921 1 10.93 tpot ajuste
minimax-m3-mxfp8 dgx-b200 - 8 1 921 921 32 17.5 tpot ajuste
minimax-m3-mxfp8 dgx-b200 - 8 1 921 921 4 11.72 tpot ajuste
minimax-m3-mxfp8 dgx-h100 - 8 1 921 921 64 29.7 tpot ajuste
minimax-m3-mxfp8 dgx200 - 4 1 921 921 256 84.44 tpot ajuste
minimax-m3-mxfp8 dgx300 - 2 1 921 921 64 45.67 tpot ajuste
minimax-m3-mxfp8 dgx300 - 4 1 7372 921 4 14.57 tpot ajuste
minimax-m3-mxfp8 dgx300 - 4 1 7372 921 8 16.68 tpot ajuste
minimax-m3-mxfp8 dgx300 - 4 1 921 921 2 13.19 tpot ajuste
minimax-m3-mxfp8 dgx300 - 8 1 7372 921 1 10.52 tpot ajuste
minimax-m3-mxfp8 dgx300 - 8 1 921 921 32 16.87 tpot ajuste
minimax-m3-nvfp4 dgx-b200 - 4 1 921 921 256 26.24 tpot ajuste
minimax-m3-nvfp4 dgx-b200 - 4 1 921 921 256 27.17 tpot ajuste
minimax-m3-nvfp4 dgx-b200 - 4 1 921 921 64 15.51 tpot ajuste
minimax-m3-nvfp4 dgx-b200 - 4 1 921 921 8 7.73 tpot ajuste
minimax-m3-nvfp4 dgx300 - 2 1 7372 921 8 10.12 tpot ajuste
minimax-m3-nvfp4 dgx300 - 2 1 921 921 128 27.75 tpot ajuste
minimax-m3-nvfp4 dgx300 - 4 1 921 921 256 27.06 tpot ajuste
minimax-m3-nvfp4 dgx300 - 8 1 7372 921 8 7.32 tpot ajuste
opt-oss-120b dgx-b200 - 2 1 922 7373 128 8.89 tpot ajuste
opt-oss-120b dgx-b200 - 2 1 922 7373 8 3.67 tpot ajuste
opt-oss-120b dgx-b200 - 2 1 922 922 64 6.75 tpot ajuste
opt-oss-120b dgx-b200 - 2 1 922 922 64 7.07 tpot ajuste
opt-oss-120b dgx-b200 - 4 1 7373 922 128 10.09 tpot ajuste
opt-oss-120b dgx-b200 - 8 1 922 7373 4 2.29 tpot ajuste
opt-oss-120b dgx-b200 - 8 1 922 922 4 2.29 tpot ajuste
opt-oss-120b dgx-b200 - 8 1 922 922 8 2.62 tpot ajuste
opt-oss-120b dgx200 - 4 1 922 922 64 9.48 tpot ajuste
opt-oss-120b dgx200 - 8 1 922 7373 8 5.27 tpot ajuste
qwen3-32b dgx-h100 - 1 1 1024 128 16 25.48 tpot ajuste
qwen3-32b dgx-h100 - 4 1 1024 1024 128 25.63 tpot ajuste
qwen3-32b dgx-h100 - 4 1 1024 1024 8 10.6 tpot ajuste
qwen3-32b dgx-h100 - 4 1 4096 1024 32 18.72 tpot ajuste
qwen3-32b dgx-h100 - 4 1 4096 128 32 43.83 tpot ajuste
qwen3-32b dgx-h100 - 4 1 4096 128 64 82.91 tpot ajuste
qwen3-32b dgx-h100 - 4 1 4096 512 128 61.7 tpot ajuste
qwen3-32b dgx-h100 - 4 1 4096 512 8 12.3 tpot ajuste
qwen3-32b-fp8 dgx-h100 - 2 1 2048 128 8 14.03 tpot ajuste
qwen3-32b-fp8 dgx-h100 - 2 1 2048 256 128 63.16 tpot ajuste
qwen3-32b-fp8 dgx-h100 - 2 1 2048 256 32 23.25 tpot ajuste
qwen3-32b-fp8 dgx-h100 - 2 1 2048 512 16 13.37 tpot ajuste
qwen3-32b-fp8 dgx-h100 - 2 1 2048 512 64 25.62 tpot ajuste
qwen3-32b-fp8 dgx-h100 - 2 1 2048 512 8 11.11 tpot ajuste
qwen3-32b-fp8 dgx-h100 - 2 1 4096 128 16 29.34 tpot ajuste
qwen3-32b-fp8 dgx-h100 - 2 1 4096 256 8 13.92 tpot ajuste
qwen3-32b-fp8 dgx-h100 - 2 1 4096 512 64 38.7 tpot ajuste
qwen3.5-397b-a17b-fp8 dgx-b200 - 4 1 7373 922 128 51.37 tpot ajuste
qwen3.5-397b-a17b-fp8 dgx-b200 - 4 1 7373 922 64 33.17 tpot ajuste
qwen3.5-397b-a17b-fp8 dgx-b200 - 4 1 922 7373 16 12.57 tpot ajuste
qwen3.5-397b-a17b-fp8 dgx-b200 - 4 1 922 922 64 23.54 tpot ajuste
qwen3.5-397b-a17b-fp8 dgx300 - 4 1 922 922 16 9.23 tpot ajuste
qwen3.5-397b-a17b-fp8 dgx300 - 4 1 922 922 64 17.25 tpot ajuste
qwen3.5-397b-a17b-nvfp4 dgx-b200 - 2 1 7372 921 128 42.65 tpot ajuste
qwen3.5-397b-a17b-nvfp4 dgx300 - 2 1 7372 921 32 16.82 tpot ajuste
qwen3.5-397b-a17b-nvfp4 dgx300 - 2 1 7372 921 8 8.92 tpot ajuste
deepseek-r1 dgx200 - 1 8 7373 922 256 101.78 tpot fora
deepseek-r1 dgx200 - 1 8 922 922 256 37.23 tpot fora
deepseek-r1 dgx300 - 8 1 7372 921 2 8.09 tpot fora
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 1 8 922 7373 256 21.37 tpot fora
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 1 8 922 922 256 23.91 tpot fora
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 4 1 7372 921 2 7.31 tpot fora
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 4 1 922 7373 32 18.67 tpot fora
deepseek-r1-0528-nvfp4-v2 dgx300 - 4 1 7372 921 8 10.27 tpot fora
deepseek-r1-0528-nvfp4-v2 dgx300 - 4 1 921 921 8 9.21 tpot fora
deepseek-v3 dgx200 - 8 1 7373 922 16 25.24 tpot fora
deepseek-v3 dgx200 - 8 1 922 7373 16 19.52 tpot fora
deepseek-v3 dgx300 - 8 1 7373 922 4 13.98 tpot fora
deepseek-v3.1-nvfp4 dgx-b200 - 8 1 7373 922 16 16.7 tpot fora
deepseek-v3.1-nvfp4 dgx-b200 - 8 1 7373 922 4 12.39 tpot fora
deepseek-v3.1-nvfp4 dgx-b200 - 8 1 922 7373 128 22.93 tpot fora
deepseek-v3.1-nvfp4 dgx-b200 - 8 1 922 7373 128 24.01 tpot fora
deepseek-v3.1-nvfp4 dgx-b200 - 8 1 922 7373 4 9.14 tpot fora
deepseek-v3.1-nvfp4 dgx-b200 - 8 1 922 7373 64 18.54 tpot fora
deepseek-v3.1-nvfp4 dgx-b200 - 8 1 922 922 128 24.75 tpot fora
deepseek-v3.1-nvfp4 dgx-b200 - 8 1 922 922 4 7.19 tpot fora
deepseek-v3.1-nvfp4 dgx-b200 - 8 1 922 922 8 9.88 tpot fora
deepseek-v4-pro dgx-b200 - 8 1 7372 921 1 14.76 tpot fora
deepseek-v4-pro dgx-b200 - 8 1 7372 921 8 17.13 tpot fora
deepseek-v4-pro dgx200 - 8 1 7372 921 32 90.91 tpot fora
deepseek-v4-pro dgx300 - 8 1 7372 921 128 76.79 tpot fora
deepseek-v4-pro dgx300 - 8 1 7372 921 16 23.14 tpot fora
deepseek-v4-pro dgx300 - 8 1 7372 921 8 18.31 tpot fora
deepseek-v4-pro dgx300 - 8 1 921 921 128 40.4 tpot fora
deepseek-v4-pro dgx300 - 8 1 921 921 32 23.6 tpot fora
deepseek-v4-pro dgx300 - 8 1 921 921 4 14.11 tpot fora
glm-5-fp8 dgx200 - 8 1 7373 922 64 63.34 tpot fora
glm-5-fp8 dgx200 - 8 1 922 7373 32 31.28 tpot fora
glm-5-fp8 dgx200 - 8 1 922 922 16 26.39 tpot fora
glm-5-nvfp4 dgx-b200 - 8 1 922 922 4 14.28 tpot fora
kimi-k2.5 dgx300 - 4 1 921 921 32 24.86 tpot fora
kimi-k2.5-nvfp4 dgx-b200 - 4 1 922 922 4 8.16 tpot fora
kimi-k2.5-nvfp4 dgx-b200 - 4 1 922 922 64 22.87 tpot fora
kimi-k2.5-nvfp4 dgx-b200 - 8 1 7373 922 4 7.92 tpot fora
kimi-k2.5-nvfp4 dgx300 - 4 1 922 922 32 17.11 tpot fora
kimi-k2.5-nvfp4 dgx300 - 4 1 922 922 4 8.38 tpot fora
llama-3.1-70b-instruct-fp8 dgx-b200 - 1 1 7373 922 32 40.88 tpot fora
llama-3.1-70b-instruct-fp8 dgx-b200 - 1 1 922 7373 4 16.67 tpot fora
llama-3.1-70b-instruct-fp8 dgx-b200 - 1 1 922 922 32 19.56 tpot fora
llama-3.1-70b-instruct-fp8 dgx-b200 - 1 1 922 922 4 16.34 tpot fora
llama-3.1-70b-instruct-fp8 dgx-b200 - 8 1 922 7373 4 6.52 tpot fora
llama-3.1-70b-instruct-fp8 dgx-b200 - 8 1 922 7373 64 10.45 tpot fora
llama-3.1-8b-instruct dgx-h100 - 4 1 1024 128 128 23.33 tpot fora
llama-3.1-8b-instruct dgx-h100 - 4 1 1024 128 64 10.16 tpot fora
llama-3.1-8b-instruct dgx-h100 - 4 1 2048 128 16 5.88 tpot fora
llama-3.1-8b-instruct dgx-h100 - 4 1 2048 128 32 7.93 tpot fora
llama-3.1-8b-instruct dgx-h100 - 4 1 2048 256 128 12.8 tpot fora
llama-3.1-8b-instruct dgx-h100 - 4 1 2048 512 32 5.49 tpot fora
llama-3.1-8b-instruct dgx-h100 - 4 1 4096 128 64 23.41 tpot fora
llama-3.1-8b-instruct-fp8 dgx200 - 4 1 2000 100 128 9.43 tpot fora
llama-3.1-8b-instruct-fp8 dgx200 - 4 1 8000 500 128 14.11 tpot fora
llama-3.3-70b-instruct-nvfp4 dgx-b200 - 1 1 7373 922 4 14.38 tpot fora
llama-3.3-70b-instruct-nvfp4 dgx-b200 - 4 1 922 922 8 7.64 tpot fora
minimax-m2.5 dgx-b200 - 2 1 7373 922 8 12.14 tpot fora
minimax-m2.5 dgx-b200 - 2 1 922 922 16 13.37 tpot fora
minimax-m2.5 dgx-b200 - 2 1 922 922 16 13.37 tpot fora
minimax-m2.5 dgx-b200 - 2 1 922 922 4 9.43 tpot fora
minimax-m2.5 dgx-b200 - 2 1 922 922 8 10.82 tpot fora
minimax-m2.5 dgx-h100 - 4 1 7373 922 16 19.72 tpot fora
minimax-m2.5 dgx200 - 4 1 922 7373 8 13.64 tpot fora
minimax-m2.5 dgx300 - 4 1 7373 922 16 11.86 tpot fora
minimax-m2.5 dgx300 - 4 1 7373 922 512 94.15 tpot fora
minimax-m2.5 dgx300 - 4 1 922 922 128 17.79 tpot fora
minimax-m2.5-nvfp4 dgx-b200 - 2 1 7373 922 4 7.91 tpot fora
minimax-m2.5-nvfp4 dgx-b200 - 4 1 922 922 32 11.36 tpot fora
minimax-m2.5-nvfp4 dgx300 - 1 1 7373 922 8 10.35 tpot fora
minimax-m2.5-nvfp4 dgx300 - 1 1 922 922 8 8.85 tpot fora
minimax-m2.5-nvfp4 dgx300 - 2 1 7373 922 32 16.43 tpot fora
minimax-m2.5-nvfp4 dgx300 - 2 1 7373 922 64 23.65 tpot fora
minimax-m3-mxfp8 dgx-b200 - 8 1 7372 921 8 14.6 tpot fora
minimax-m3-mxfp8 dgx-h100 - 8 1 921 921 2 9.86 tpot fora
minimax-m3-mxfp8 dgx200 - 4 1 7372 921 1 7.21 tpot fora
minimax-m3-mxfp8 dgx200 - 4 1 7372 921 16 24.4 tpot fora
minimax-m3-mxfp8 dgx300 - 4 1 921 921 128 33.36 tpot fora
minimax-m3-mxfp8 dgx300 - 4 1 921 921 512 57.07 tpot fora
minimax-m3-mxfp8 dgx300 - 8 1 921 921 1 11.36 tpot fora
minimax-m3-mxfp8 dgx300 - 8 1 921 921 128 24.96 tpot fora
minimax-m3-nvfp4 dgx-b200 - 8 1 7372 921 2 5.94 tpot fora
minimax-m3-nvfp4 dgx-b200 - 8 1 921 921 512 33.17 tpot fora
minimax-m3-nvfp4 dgx300 - 2 1 921 921 32 16.16 tpot fora
minimax-m3-nvfp4 dgx300 - 4 1 7372 921 1 5.41 tpot fora
opt-oss-120b dgx-b200 - 1 1 7373 922 8 4.72 tpot fora
opt-oss-120b dgx-b200 - 1 1 922 922 4 3.71 tpot fora
opt-oss-120b dgx-b200 - 2 1 922 7373 4 2.64 tpot fora
opt-oss-120b dgx-b200 - 4 1 7373 922 8 3.83 tpot fora
opt-oss-120b dgx-b200 - 4 1 922 922 64 5.62 tpot fora
opt-oss-120b dgx-h100 - 4 1 4000 1000 384 49.35 tpot fora
opt-oss-120b dgx200 - 1 1 7373 922 64 41.83 tpot fora
opt-oss-120b dgx200 - 1 1 7373 922 8 10.46 tpot fora
opt-oss-120b dgx200 - 1 1 922 922 8 9.06 tpot fora
opt-oss-120b dgx200 - 2 1 922 7373 16 8.2 tpot fora
opt-oss-120b dgx200 - 2 1 922 7373 64 12.54 tpot fora
opt-oss-120b dgx200 - 2 1 922 922 16 8.9 tpot fora
qwen3-235b-a22b-fp8 dgx-h100 - 8 1 1024 128 64 41.81 tpot fora
qwen3-235b-a22b-fp8 dgx-h100 - 8 1 1024 256 64 30.65 tpot fora
qwen3-235b-a22b-fp8 dgx-h100 - 8 1 1024 256 8 13.65 tpot fora
qwen3-235b-a22b-fp8 dgx-h100 - 8 1 1024 512 16 15.57 tpot fora
qwen3-235b-a22b-fp8 dgx-h100 - 8 1 128 128 16 14.17 tpot fora
qwen3-235b-a22b-fp8 dgx-h100 - 8 1 256 128 8 12.63 tpot fora
qwen3-235b-a22b-fp8 dgx200 - 1 1 1000 100 8 54.93 tpot fora
qwen3-235b-a22b-fp8 dgx200 - 1 1 2000 100 5 57.78 tpot fora
qwen3-235b-a22b-fp8 dgx200 - 1 1 4000 1000 7 56.58 tpot fora
qwen3-235b-a22b-fp8 dgx200 - 1 1 4000 500 6 56.84 tpot fora
qwen3-235b-a22b-fp8 dgx200 - 4 1 1000 1000 48 36.25 tpot fora
qwen3-235b-a22b-fp8 dgx200 - 4 1 1000 2000 48 36.85 tpot fora
qwen3-235b-a22b-fp8 dgx200 - 4 1 4000 500 20 35.16 tpot fora
qwen3-32b dgx-h100 - 2 1 2048 128 128 83.56 tpot fora
qwen3-32b dgx-h100 - 8 1 1024 1024 32 10.45 tpot fora
qwen3-32b dgx-h100 - 8 1 1024 1024 64 13.28 tpot fora
qwen3-32b dgx-h100 - 8 1 1024 128 16 10.71 tpot fora
qwen3-32b dgx-h100 - 8 1 1024 512 32 10.9 tpot fora
qwen3-32b dgx-h100 - 8 1 4096 128 8 11.17 tpot fora
qwen3-32b dgx-h100 - 8 1 4096 512 16 11.08 tpot fora
qwen3-32b dgx-h100 - 8 1 4096 512 32 15.33 tpot fora
qwen3-32b-fp8 dgx-h100 - 1 1 1024 512 64 29.16 tpot fora
qwen3-32b-fp8 dgx-h100 - 1 1 4096 128 64 175.57 tpot fora
qwen3-32b-fp8 dgx-h100 - 1 1 4096 256 32 57.48 tpot fora
qwen3-32b-fp8 dgx-h100 - 1 1 4096 256 8 22.05 tpot fora
qwen3.5-397b-a17b dgx300 - 4 1 922 922 32 17.74 tpot fora
qwen3.5-397b-a17b dgx300 - 4 1 922 922 4 7.56 tpot fora
qwen3.5-397b-a17b-fp8 dgx-b200 - 4 1 7373 922 128 52.69 tpot fora
qwen3.5-397b-a17b-fp8 dgx-b200 - 4 1 922 7373 16 8.61 tpot fora
qwen3.5-397b-a17b-fp8 dgx-h100 - 8 1 7372 921 2 6.87 tpot fora
qwen3.5-397b-a17b-fp8 dgx200 - 8 1 7373 922 8 12.46 tpot fora
qwen3.5-397b-a17b-fp8 dgx200 - 8 1 922 7373 32 16.52 tpot fora
qwen3.5-397b-a17b-fp8 dgx200 - 8 1 922 922 16 22.63 tpot fora
qwen3.5-397b-a17b-fp8 dgx200 - 8 1 922 922 64 30.56 tpot fora
qwen3.5-397b-a17b-fp8 dgx200 - 8 1 922 922 8 11.47 tpot fora
qwen3.5-397b-a17b-fp8 dgx300 - 4 1 7373 922 128 40.23 tpot fora
qwen3.5-397b-a17b-fp8 dgx300 - 4 1 7373 922 256 64.62 tpot fora
qwen3.5-397b-a17b-fp8 dgx300 - 4 1 7373 922 64 26.28 tpot fora
qwen3.5-397b-a17b-fp8 dgx300 - 4 1 922 922 256 35.18 tpot fora
qwen3.5-397b-a17b-nvfp4 dgx-b200 - 4 1 922 922 4 6.82 tpot fora
qwen3.5-397b-a17b-nvfp4 dgx300 - 4 1 7373 922 32 13.36 tpot fora
qwen3.5-397b-a17b-nvfp4 dgx300 - 4 1 7373 922 64 18.97 tpot fora
qwen3.5-397b-a17b-nvfp4 dgx300 - 4 1 922 922 16 8.65 tpot fora
llama-3.1-405b-instruct-fp8 dgx200 - 8 1 1000 1000 3000 3330 max ajuste
llama-3.1-405b-instruct-fp8 dgx200 - 8 1 20000 2000 1000 505 max ajuste
llama-3.1-405b-instruct-fp8 dgx200 - 8 1 2048 128 3000 456 max ajuste
llama-3.1-405b-instruct-fp8 dgx200 - 8 1 2048 2048 1500 2948 max ajuste
llama-3.1-70b-instruct-fp8 dgx-h100 - 8 1 1000 1000 3000 11451 max ajuste
llama-3.1-70b-instruct-fp8 dgx-h100 - 8 1 500 2000 3000 14679 max ajuste
llama-3.1-70b-instruct-fp8 dgx200 - 2 1 1000 1000 3000 5165 max ajuste
llama-3.1-70b-instruct-fp8 dgx200 - 2 1 20000 2000 1000 641 max ajuste
llama-3.1-70b-instruct-fp8 dgx200 - 2 1 2048 128 3000 809 max ajuste
llama-3.1-70b-instruct-fp8 dgx200 - 2 1 500 2000 3000 6848 max ajuste
llama-3.1-8b-instruct-fp8 dgx200 - 1 1 128 128 30000 29526 max ajuste
llama-3.1-8b-instruct-fp8 dgx200 - 1 1 128 2048 3000 25399 max ajuste
llama-3.1-8b-instruct-fp8 dgx200 - 1 1 2048 128 3000 3794 max ajuste
llama-3.1-8b-instruct-fp8 dgx200 - 1 1 5000 500 1500 3988 max ajuste
llama-4-scout-17b-16e-instruct dgx-h100 fp8 1 4 1000 2000 1500 9838 max ajuste
llama-4-scout-17b-16e-instruct dgx-h100 fp8 1 4 128 2048 3000 15130 max ajuste
llama-4-scout-17b-16e-instruct dgx-h100 fp8 1 4 128 4096 1500 8603 max ajuste
llama-4-scout-17b-16e-instruct dgx-h100 fp8 1 4 2048 2048 1500 7972 max ajuste
llama-4-scout-17b-16e-instruct dgx-h100 fp8 1 4 5000 500 1500 3342 max ajuste
opt-oss-120b dgx-b200 - 1 2 1000 1000 3000 51886 max ajuste
opt-oss-120b dgx-b200 - 1 2 1024 1024 3000 51740 max ajuste
opt-oss-120b dgx-b200 - 1 2 1024 32768 1000 12558 max ajuste
opt-oss-120b dgx-b200 - 1 2 1024 8192 1500 34578 max ajuste
opt-oss-120b dgx-b200 - 1 2 32768 1024 1000 2784 max ajuste
opt-oss-120b dgx-b200 - 1 2 8192 1024 1500 12222 max ajuste
opt-oss-120b dgx-h100 - 1 4 1024 32768 1000 4708 max ajuste
opt-oss-120b dgx-h100 - 1 4 32768 1024 1000 1332 max ajuste
opt-oss-20b dgx-b200 - 1 1 1000 1000 3000 53812 max ajuste
opt-oss-20b dgx-b200 - 1 1 1024 32768 1000 14589 max ajuste
opt-oss-20b dgx-b200 - 1 1 8192 1024 1500 11904 max ajuste
opt-oss-20b dgx200 - 1 1 1024 1024 3000 13890 max ajuste
qwen3-235b-a22b-nvfp4 dgx-b200 - 1 4 1000 1000 3000 23056 max ajuste
qwen3-235b-a22b-nvfp4 dgx-b200 - 1 4 1024 32768 1000 5020 max ajuste
qwen3-235b-a22b-nvfp4 dgx-b200 - 1 4 32768 1024 1000 1276 max ajuste
qwen3-235b-a22b-nvfp4 dgx-b200 - 1 4 8192 1024 1500 5640 max ajuste
deepseek-r1 dgx200 - 1 8 1024 1024 3000 12960 max fora
deepseek-r1 dgx200 - 1 8 1024 32768 1000 3504 max fora
llama-3.1-405b-instruct gb200-nvl72 nvfp4 4 1 128 4096 1500 6608 max fora
llama-3.1-405b-instruct gb200-nvl72 nvfp4 4 1 5000 500 1500 1112 max fora
llama-3.1-405b-instruct-fp8 dgx200 - 8 1 2048 128 3000 463 max fora
llama-3.1-405b-instruct-fp8 dgx200 - 8 1 500 2000 3000 5084 max fora
llama-3.1-70b-instruct-fp8 dgx-h100 - 2 1 128 128 30000 6645 max fora
llama-3.1-70b-instruct-fp8 dgx-h100 - 2 1 128 2048 3000 6170 max fora
llama-3.1-70b-instruct-fp8 dgx-h100 - 2 1 2048 2048 1500 2898 max fora
llama-3.1-70b-instruct-fp8 dgx-h100 - 4 1 128 2048 3000 11512 max fora
llama-3.1-70b-instruct-fp8 dgx-h100 - 4 1 128 4096 1500 7439 max fora
llama-3.1-70b-instruct-fp8 dgx-h100 - 4 1 20000 2000 1000 920 max fora
llama-3.1-70b-instruct-fp8 dgx-h100 - 4 1 2048 128 3000 1303 max fora
llama-3.1-70b-instruct-fp8 dgx-h100 - 4 1 2048 2048 1500 5480 max fora
llama-3.1-70b-instruct-fp8 dgx200 - 1 1 128 128 30000 4021 max fora
llama-3.1-70b-instruct-fp8 dgx200 - 1 1 500 2000 3000 3018 max fora
llama-3.1-8b-instruct-fp8 dgx200 - 1 1 1000 1000 3000 17744 max fora
llama-3.1-8b-instruct-fp8 dgx200 - 1 1 128 128 30000 27911 max fora
llama-3.1-8b-instruct-fp8 dgx200 - 1 1 128 2048 3000 26221 max fora
llama-4-maverick-17b-128e-instruct gb200-nvl72 nvfp4 1 4 1024 32768 1000 9200 max fora
llama-4-maverick-17b-128e-instruct gb200-nvl72 nvfp4 1 4 1024 8192 1500 22032 max fora
llama-4-maverick-17b-128e-instruct-fp8 dgx200 - 1 8 1000 1000 3000 33168 max fora
llama-4-maverick-17b-128e-instruct-fp8 dgx200 - 1 8 1024 32768 1000 5432 max fora
llama-4-scout-17b-16e-instruct dgx200 fp8 1 4 128 128 30000 30354 max fora
llama-4-scout-17b-16e-instruct dgx200 fp8 1 4 2048 2048 1500 14949 max fora
llama-4-scout-17b-16e-instruct gb200-nvl72 nvfp4 1 1 5000 500 1500 3107 max fora
opt-oss-120b dgx200 - 1 1 1024 1024 3000 6798 max fora
opt-oss-120b dgx200 - 1 1 32768 1024 1000 519 max fora
opt-oss-120b dgx200 - 1 1 8192 1024 1500 1828 max fora
qwen3-235b-a22b-nvfp4 dgx-b200 - 1 8 1000 2000 1500 34105 max fora
qwen3-235b-a22b-nvfp4 dgx-b200 - 1 8 128 2048 3000 66057 max fora
qwen3-235b-a22b-nvfp4 dgx-b200 - 1 8 128 4096 1500 39496 max fora
qwen3-235b-a22b-nvfp4 dgx-b200 - 1 8 2048 128 3000 7329 max fora
qwen3-235b-a22b-nvfp4 dgx-b200 - 1 8 2048 2048 1500 26854 max fora
qwen3-235b-a22b-nvfp4 gb200-nvl72 - 1 4 8192 1024 1500 5856 max fora
deepseek-r1 dgx-b200 - 1 8 921 921 64 19.09 mtp1 ajuste
deepseek-r1 dgx-b200 - 8 1 7372 921 16 15.66 mtp3 ajuste
deepseek-r1 dgx-b200 - 8 1 7372 921 32 22.93 mtp3 ajuste
deepseek-r1 dgx200 - 8 1 7372 921 4 9.49 mtp3 ajuste
deepseek-r1 dgx200 - 8 1 921 921 4 9.27 mtp3 ajuste
deepseek-r1 dgx200 - 8 1 921 921 64 31.48 mtp2 ajuste
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 1 4 921 7372 256 20.96 mtp1 ajuste
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 1 4 921 921 256 23.58 mtp1 ajuste
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 1 8 7372 921 128 20.38 mtp1 ajuste
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 4 1 921 921 2 4.31 mtp2 ajuste
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 8 1 921 7372 8 5.2 mtp3 ajuste
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 8 1 921 921 128 15.4 mtp3 ajuste
deepseek-v4-pro dgx-b200 - 1 8 7372 921 256 133.16 mtp2 ajuste
deepseek-v4-pro dgx-b200 - 8 1 7372 921 2 10.14 mtp2 ajuste
deepseek-v4-pro dgx-b200 - 8 1 7372 921 32 20.84 mtp3 ajuste
deepseek-v4-pro dgx-b200 - 8 1 7372 921 4 7.41 mtp3 ajuste
deepseek-v4-pro dgx-b200 - 8 1 7372 921 8 14.44 mtp2 ajuste
deepseek-v4-pro dgx-b200 - 8 1 921 921 2 7.54 mtp3 ajuste
deepseek-v4-pro dgx-b200 - 8 1 921 921 2 8.23 mtp2 ajuste
deepseek-v4-pro dgx200 - 1 8 7372 921 64 89 mtp2 ajuste
deepseek-v4-pro dgx200 - 1 8 7372 921 8 37.27 mtp2 ajuste
deepseek-v4-pro dgx200 - 1 8 921 921 2 14.73 mtp2 ajuste
deepseek-v4-pro dgx200 - 1 8 921 921 256 101.54 mtp2 ajuste
deepseek-v4-pro dgx200 - 1 8 921 921 64 52.68 mtp2 ajuste
deepseek-v4-pro dgx200 - 8 1 921 921 32 28.91 mtp3 ajuste
glm-5-nvfp4 dgx-b200 - 8 1 7372 921 4 8.04 mtp3 ajuste
minimax-m3-mxfp8 dgx-b200 - 8 1 921 921 2 5.32 mtp3 ajuste
minimax-m3-mxfp8 dgx-b200 - 8 1 921 921 8 7.08 mtp3 ajuste
minimax-m3-mxfp8 dgx200 - 8 1 921 921 128 27.82 mtp3 ajuste
minimax-m3-mxfp8 dgx300 - 4 1 921 921 4 6.91 mtp3 ajuste
minimax-m3-mxfp8 dgx300 - 4 1 921 921 8 8 mtp3 ajuste
minimax-m3-mxfp8 dgx300 - 8 1 7372 921 4 5.75 mtp3 ajuste
minimax-m3-mxfp8 dgx300 - 8 1 7372 921 64 19.44 mtp3 ajuste
minimax-m3-mxfp8 dgx300 - 8 1 921 921 256 24.06 mtp3 ajuste
minimax-m3-nvfp4 dgx-b200 - 2 1 921 921 8 6.3 mtp3 ajuste
minimax-m3-nvfp4 dgx300 - 2 1 7372 921 1 3.63 mtp3 ajuste
minimax-m3-nvfp4 dgx300 - 2 1 7372 921 2 3.77 mtp3 ajuste
minimax-m3-nvfp4 dgx300 - 2 1 7372 921 32 14.15 mtp3 ajuste
minimax-m3-nvfp4 dgx300 - 2 1 921 921 2 3.3 mtp3 ajuste
minimax-m3-nvfp4 dgx300 - 4 1 921 921 1 2.57 mtp3 ajuste
minimax-m3-nvfp4 dgx300 - 4 1 921 921 8 4.33 mtp3 ajuste
qwen3.5-397b-a17b dgx300 - 4 1 921 921 64 13.79 mtp3 ajuste
qwen3.5-397b-a17b-fp8 dgx-b200 - 8 1 921 921 4 4.01 mtp3 ajuste
qwen3.5-397b-a17b-fp8 dgx200 - 8 1 7372 921 64 39.57 mtp3 ajuste
qwen3.5-397b-a17b-fp8 dgx300 - 4 1 7372 921 128 32.42 mtp3 ajuste
deepseek-r1 dgx-b200 - 8 1 7372 921 16 14.37 mtp2 fora
deepseek-r1 dgx-b200 - 8 1 921 921 32 12.87 mtp2 fora
deepseek-r1 dgx300 - 8 1 7372 921 1 4.09 mtp2 fora
deepseek-r1 dgx300 - 8 1 7372 921 128 58.75 mtp2 fora
deepseek-r1 dgx300 - 8 1 921 921 2 4.56 mtp2 fora
deepseek-r1 dgx300 - 8 1 921 921 512 54.32 mtp2 fora
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 4 1 921 7372 64 16.4 mtp3 fora
deepseek-r1-0528-nvfp4-v2 dgx-b200 - 8 1 7372 921 16 9.02 mtp2 fora
deepseek-v4-pro dgx300 - 4 1 7372 921 32 27.32 mtp3 fora
deepseek-v4-pro dgx300 - 4 1 7372 921 4 8.26 mtp3 fora
deepseek-v4-pro dgx300 - 4 1 7372 921 8 12.8 mtp2 fora
deepseek-v4-pro dgx300 - 8 1 921 921 4 10.89 mtp2 fora
glm-5-fp8 dgx-b200 - 8 1 7372 921 16 17.73 mtp3 fora
glm-5-fp8 dgx-b200 - 8 1 7372 921 4 10.22 mtp3 fora
glm-5-fp8 dgx-b200 - 8 1 921 921 256 65.37 mtp3 fora
glm-5-fp8 dgx-b200 - 8 1 921 921 4 9.32 mtp3 fora
glm-5-fp8 dgx-b200 - 8 1 921 921 8 11.11 mtp3 fora
glm-5-fp8 dgx200 - 8 1 7372 921 64 48.08 mtp3 fora
glm-5-nvfp4 dgx-b200 - 4 1 921 921 16 12.63 mtp3 fora
minimax-m3-mxfp8 dgx-b200 - 4 1 7372 921 32 17.15 mtp3 fora
minimax-m3-mxfp8 dgx-b200 - 4 1 921 921 64 15.54 mtp3 fora
minimax-m3-mxfp8 dgx200 - 4 1 921 921 32 16.77 mtp3 fora
minimax-m3-mxfp8 dgx300 - 4 1 921 921 128 19.68 mtp3 fora
minimax-m3-nvfp4 dgx-b200 - 2 1 921 921 1 3.33 mtp3 fora
minimax-m3-nvfp4 dgx-b200 - 4 1 7372 921 8 5.29 mtp3 fora
minimax-m3-nvfp4 dgx-b200 - 8 1 7372 921 256 47.58 mtp3 fora
minimax-m3-nvfp4 dgx-b200 - 8 1 921 921 16 5.06 mtp3 fora
minimax-m3-nvfp4 dgx-b200 - 8 1 921 921 16 5.19 mtp3 fora
minimax-m3-nvfp4 dgx300 - 8 1 7372 921 2 2.66 mtp3 fora
minimax-m3-nvfp4 dgx300 - 8 1 7372 921 32 8.62 mtp3 fora
minimax-m3-nvfp4 dgx300 - 8 1 921 921 256 16.35 mtp3 fora
qwen3.5-397b-a17b dgx-b200 - 8 1 7372 921 32 10.53 mtp3 fora
qwen3.5-397b-a17b dgx-b200 - 8 1 921 921 64 11.08 mtp3 fora
qwen3.5-397b-a17b dgx300 - 8 1 7372 921 32 10.23 mtp3 fora
qwen3.5-397b-a17b dgx300 - 8 1 7372 921 4 3.93 mtp3 fora
qwen3.5-397b-a17b-fp8 dgx-b200 - 4 1 921 7372 8 6.05 mtp3 fora
qwen3.5-397b-a17b-fp8 dgx-b200 - 4 1 921 921 32 17.16 mtp3 fora
qwen3.5-397b-a17b-fp8 dgx-b200 - 4 1 921 921 8 6.01 mtp3 fora
qwen3.5-397b-a17b-nvfp4 dgx-b200 - 2 1 7372 921 64 21.81 mtp3 fora
qwen3.5-397b-a17b-nvfp4 dgx-b200 - 2 1 7372 921 8 6.25 mtp3 fora
qwen3.5-397b-a17b-nvfp4 dgx-b200 - 4 1 7372 921 16 8.64 mtp3 fora
qwen3.5-397b-a17b-nvfp4 dgx-b200 - 4 1 7372 921 64 17.62 mtp3 fora
qwen3.5-397b-a17b-nvfp4 dgx-b200 - 4 1 7372 921 8 6.49 mtp3 fora
qwen3.5-397b-a17b-nvfp4 dgx-b200 - 4 1 921 921 16 7.74 mtp3 fora
qwen3.5-397b-a17b-nvfp4 dgx-b200 - 4 1 921 921 32 9.13 mtp3 fora
"""
SPEED_FAMILIES = ("deepseek-v4", "deepseek", "glm-5", "gpt-oss", "kimi", "llama-3", "llama-4",
                  "minimax-m2", "minimax-m3", "qwen3.5", "qwen3-")
SPEED_SERVERS = {"dgx-h100": "H100", "dgx200": "H200", "dgx-b200": "B200", "dgx300": "B300",
                 "gb200-nvl72": "GB200"}
# Grupo → (a faixa de 80%, a mediana e o p90 do erro que os testes aceitam fora do ajuste).
SPEED_GROUPS = {"TPOT, densos": ((0.83, 1.24), 0.12, 0.70),
                "TPOT, MoE": ((0.82, 1.27), 0.12, 0.35),
                "TPOT, MoE com attention-DP": ((0.65, 1.45), 0.45, 0.60),
                "TPOT, com rascunhos": ((0.80, 1.37), 0.15, 0.40),
                "tokens/s da réplica cheia": ((0.76, 1.19), 0.15, 0.45)}


@functools.lru_cache(maxsize=None)
def speed_errors():
    """[(grupo, família, GPU, se entrou no ajuste, medido / previsto)]."""
    found = []
    for row in MEASURED_SPEED.strip().splitlines():
        model, server, precision, *numbers, kind, side = row.split()
        tp, dp, inputs, outputs, load = map(int, numbers[:5])
        described, measured = Described(listed("models", model)), float(numbers[5])
        native = described.native_precision
        bf16 = kind != "max" and (native if precision == "-" else precision) == "bf16"
        speed = at(model, server, tp, dp, inputs, outputs, kv_precision="bf16" if bf16 else "fp8",
                   weights_precision=None if precision == "-" else precision,
                   **({"speculative_tokens": int(kind[3:])} if kind[:3] == "mtp" else {}))
        if kind == "max":  # os pedidos em ondas de até quantos cabem, e até 2048 por motor
            most = min(speed.sessions, 2048 * dp)
            waves = -(-load // most)
            group = "tokens/s da réplica cheia"
            ratio = measured / speed.saturated_tokens_per_second(-(-load // waves))
        else:
            ratio = measured / speed.tpot_ms(load)
            group = "TPOT, MoE" if described.num_experts else "TPOT, densos"
            group += " com attention-DP" if dp > 1 else ""
            group = "TPOT, com rascunhos" if kind != "tpot" else group
        family = next(name for name in SPEED_FAMILIES
                      if model.replace("opt-oss", "gpt-oss").startswith(name))
        found.append((group, family, SPEED_SERVERS[server], side == "ajuste", ratio))
    return found


def speed_errors_of(fitted, **kinds):
    """[medido / previsto] das de um lado, com este grupo, família ou GPU."""
    place = {"group": 0, "family": 1, "gpu": 2}
    return [row[4] for row in speed_errors() if row[3] == fitted
            and all(row[place[name]] == value for name, value in kinds.items())]


def error_cell(ratios, p90=True):
    if not ratios:
        return "-"
    errors = [1 / ratio - 1 for ratio in ratios]
    median, high = median_and_p90(errors)
    text = "%.0f%%" % (100 * median)
    return text + " / %.0f%% (%d)" % (100 * high, len(ratios)) if p90 else text


def speed_table():
    """O erro da velocidade por tipo de previsão, no README."""
    lines = ["| mediana / p90 do erro (medidas) | no ajuste | fora dele | na faixa de 80%, fora |",
             "|---|---|---|---|"]
    for name, ((low, high), _, _) in SPEED_GROUPS.items():
        held = speed_errors_of(False, group=name)
        inside = sum(low <= ratio <= high for ratio in held)
        lines.append("| %s | %s | %s | %d%% |" % (
            name, error_cell(speed_errors_of(True, group=name)), error_cell(held),
            100 * inside // len(held)))
    return "\n".join(lines)


def speed_family_table():
    """A mediana do erro da velocidade por família e GPU, no ajuste e fora dele, no README."""
    gpus = list(SPEED_SERVERS.values())
    lines = ["| no ajuste · fora dele | %s | viés, fora |" % " | ".join(gpus), "|---" * 7 + "|"]
    for family in SPEED_FAMILIES:
        held = speed_errors_of(False, family=family)
        cells = [" · ".join([error_cell(speed_errors_of(fitted, family=family, gpu=gpu), False)
                             for fitted in (True, False)]) for gpu in gpus]
        bias = "%+.0f%%" % (100 * (statistics.median(held) - 1)) if held else "-"
        lines.append("| %s | %s | %s |" % (family.rstrip("-"), " | ".join(
            ["-" if cell == "- · -" else cell for cell in cells]), bias))
    return "\n".join(lines)


def naive_speed(name, server, tp, dp, inputs, outputs, element=1):
    """As equações do README, escritas de novo: só atenção completa, de janela e MLA, sem etapas.

    (segundos de um passo com tantas sessões, do prefill entre os outros, do prompt sozinho)
    """
    model, server = Described(listed("models", name)), Described(listed("servers", server))
    layers, hidden, vocab = model.num_layers, model.hidden_size, model.vocab_size
    gpus, heads, native = tp * dp, model.num_attention_heads, model.native_precision
    band, bf16 = float(server.hbm_bandwidth_tbps) * 1e12, server.tflops_bf16 * 1e12
    fp8, blackwell = server.tflops_fp8 * 1e12, bool(server.tflops_fp4)
    peak = {"bf16": bf16, "fp8": fp8, "mxfp4": fp8 if blackwell else bf16}[native]
    routed, top = model.params_experts or 0, model.experts_per_token or 0
    chosen = top / model.num_experts if routed else 0
    linear = model.params_total - model.params_embedding - routed
    read = model.weights_dense_bytes - 2 * model.params_embedding + 2 * vocab * hidden
    repeated = (model.weights_replicated_bytes or 0) / read
    per_gpu = repeated + (1 - repeated) / tp
    dense = native if not routed or native == "fp8" else "bf16"
    dense_peak, share = {"bf16": (bf16, 0.75), "fp8": (fp8, 0.62)}[dense]
    mean = inputs + outputs - outputs // 2
    kv = absorbed = pairs = 0.0
    for group in model.groups or ():
        rank, rope = group["kv_lora_rank"], group["qk_rope_head_dim"]
        kv += group["layers"] * mean * (rank + rope) * element
        absorbed += group["layers"] * mean * 2 * heads * (2 * rank + rope)
        pairs += group["layers"] * 2 * heads * inputs**2 / 2 * (
            model.qk_nope_head_dim + rope + model.v_head_dim)
    if not model.groups:
        full = model.hybrid_full_layers or layers
        window = model.sliding_window or 10**9
        held = full * mean + (layers - full) * min(mean, window)
        kv = held * 2 * model.num_key_value_heads * model.head_dim * element / min(
            tp, model.num_key_value_heads)
        seen = inputs**2 / 2 if inputs <= window else inputs * window - window**2 / 2
        pairs = 4 * heads * model.head_dim * (full * inputs**2 / 2 + (layers - full) * seen)
    link = float(server.nvlink_bandwidth_tbps) * 1e12 / server.gpus / 2
    around = 2 * layers * 4 * hidden * (gpus - 1) / gpus / link
    wait = 2 * layers * 5e-6 if gpus > 1 else 0
    launch = layers * (51e-6 + (17e-6 if model.groups else 0))
    copies = moe = expert_read = 0.0
    if routed:
        launch += model.moe_layers * (8e-6 if native == "mxfp4" and blackwell else 48e-6)
        copies = 2 * model.moe_layers * top * hidden / band
        moe = 2 * routed * chosen / peak / gpus
        expert_read = model.weights_expert_bytes / gpus / (0.96 * band)
    stream = read * per_gpu / (0.88 * band)

    def step(sessions):
        rows = max(1, sessions / dp)
        return (stream + expert_read * (1 - (1 - chosen)**sessions) + wait
                + launch * (1.55 if dp > 1 else 1)
                + rows * (2 * (linear * per_gpu / dense_peak + vocab * hidden / tp / bf16) / 0.88
                          + dp * moe / 0.13 + 28 * copies + kv / (0.71 * band)
                          + absorbed / tp / (0.78 * bf16) + around / 0.37))

    own = 2 * linear * per_gpu / dense_peak / share + 4 * copies
    shared = moe / {"bf16": 0.20, "fp8": 0.099, "mxfp4": 0.30 if blackwell else 0.19}[native]
    attention = pairs / tp / (0.78 * bf16)
    prefill = 2.5e-3 + inputs * (own / dp + shared + around / 0.52) + attention / dp
    alone = (max(inputs * (own + shared + around / 0.52) + attention, stream + expert_read)
             + layers * 700e-6 + wait)
    return step, prefill, alone


def naive_tpot_ms(name, server, tp, dp, inputs, outputs, sessions, element=1):
    step, prefill, _ = naive_speed(name, server, tp, dp, inputs, outputs, element)
    return 1e3 * (step(sessions) + (sessions - 1) / outputs * prefill)


def steady_sessions(result, rate):
    """As de uma unidade a esta taxa, por iteração ingênua; None se passam do que ela admite."""
    sessions, replica = 1, replica_of(result)
    while True:
        latency = replica.planned_latency_seconds(-(-sessions // replica.per_unit))
        wanted = max(1, math.ceil(rate * Fraction(latency)))
        if wanted > result.sessions:
            return None
        if wanted <= sessions:
            return sessions
        sessions = wanted


class Velocidade(Case):
    """TPOT, TTFT, vazão, objetivos, cargas fixas e pedidos por segundo"""

    def test_medidas(self):
        """O erro contra medidas públicas"""
        for name, (_, median, p90) in SPEED_GROUPS.items():
            held = speed_errors_of(False, group=name)
            seen = median_and_p90(1 / ratio - 1 for ratio in held)
            self.assertGreaterEqual(len(held), 4, name)
            self.assertLessEqual(seen[0], median, name)
            self.assertLessEqual(seen[1], p90, name)

    def test_contas_refeitas(self):
        """As equações escritas de novo dão o mesmo TPOT: densos, MoE, janelas e MLA em tp e dp"""
        rows = (("llama-3.1-8b", "dgx-h100", 1, 1, "bf16"),
                ("llama-3.1-70b", "dgx200", 8, 1, "fp8"),
                ("opt-oss-120b", "dgx200", 8, 1, "fp8"), ("opt-oss-20b", "dgx300", 2, 1, "fp8"),
                ("qwen3-30b-a3b", "dgx-h100", 4, 1, "bf16"), ("gemma-3-27b", "dgx200", 2, 1, "fp8"),
                ("deepseek-r1", "dgx200", 8, 1, "fp8"), ("deepseek-r1", "dgx200", 1, 8, "fp8"))
        for name, node, tp, dp, kv in rows:
            for sessions in (1, 5, 64, 300):
                for inputs, outputs in ((1000, 1000), (100, 30), (20000, 500)):
                    speed = at(name, node, tp, dp, inputs, outputs, kv_precision=kv)
                    naive = naive_tpot_ms(name, node, tp, dp, inputs, outputs, sessions,
                                          2 if kv == "bf16" else 1)
                    self.assertAlmostEqual(speed.tpot_ms(sessions) / naive, 1, 9,
                                           (name, tp, dp, sessions, inputs))
        # em dois nós, cada rank de data parallel só leva pela rede os tokens das suas sessões
        question = asking("deepseek-r1", "dgx-h100", 1, 5000)
        layouts = [sizing.layout_of(question, sizing.replica_of(question, tp, 1, 16 // tp, 2))
                   for tp in (16, 1)]
        together, apart = [sizing.speed_of(question, layout, 0).terms["moved_seconds"]
                           for layout in layouts]
        self.assertAlmostEqual(together / apart, 16)
        # uma medida vale pelas que o leiaute não tem: julga-se pela previsão
        self.assertFalse(layouts[0].measured)
        for point, expected in ((None, True), ((50.0, 1), False)):
            self.assertEqual(sizing.speed_of(changed(
                question, calibration=point), layouts[0], 0).confident, expected)

    def test_especulacao(self):
        """Um passo confere K + 1 tokens, lê o KV uma vez e rascunha K; o TPOT é o passo / A"""
        for name, node, tp, dp in (("deepseek-r1", "dgx200", 8, 1), ("glm-5-fp8", "dgx-b200", 1, 8),
                                   ("qwen3.5-27b", "dgx200", 2, 1)):
            model = in_catalogue("models", name)
            plain = at(name, node, tp, dp)
            for drafts in (1, 3, 5):
                speed = at(name, node, tp, dp, speculative_tokens=drafts,
                           requested_acceptance_length=Fraction(3, 2)).speed
                terms, tokens = plain.speed.terms, drafts + 1
                wide = {part: [fixed, each * tokens]
                        for part, (fixed, each) in plain.speed.parts.items()}
                attention = terms["absorbed_flops"] / tp / terms["bf16_flops"] / (
                    sizing.ATTENTION_MFU)
                wide["kv"][1] = plain.speed.parts["kv"][1] + drafts * attention
                ratios = dict.fromkeys(wide, 1 / model.num_layers)
                ratios["weights"] = (model.mtp["dense_bytes"] / tp + 2 * terms["gpu_head_params"]
                                     ) / terms["gpu_read_bytes"]
                ratios["experts"] = model.mtp["expert_bytes"] / (terms["expert_bytes"] or 1)
                groups = sizing.listed_groups(model.mtp["groups"], model.index_topk or 0)
                ratios["kv"] = sum(group.read_bytes(1500, 1) / min(tp, group.shards)
                                   for group in groups) / (
                                       terms["kv_read_bytes"] + terms["indexer_read_bytes"])
                for sessions in (1, 16, 300):
                    rows, missed = max(1, sessions / dp), (1 - terms["touched_ratio"])**sessions
                    step = {part: fixed + rows * each for part, (fixed, each) in wide.items()}
                    draft = sum(drafts * ratios[part] * (fixed + rows * each / (
                        1 if part == "kv" else tokens)) for part, (fixed, each) in wide.items())
                    step["experts"] -= wide["experts"][0] * missed**tokens
                    step["draft"] = draft - drafts * ratios["experts"] * wide["experts"][0] * missed
                    seen = speed.breakdown_ms(sessions)
                    self.assertEqual(seen.pop("prefill_interference"),
                                     plain.speed.breakdown_ms(sessions)["prefill_interference"])
                    for part, seconds in step.items():
                        self.assertAlmostEqual(seen[part], 1e3 * seconds / 1.5, 9, (name, part))
                    self.assertAlmostEqual(sum(speed.breakdown_ms(sessions).values()),
                                           speed.tpot_ms(sessions), 9)
            # de várias camadas que rascunham, cada passada usa uma
            twice = changed(model, mtp={
                "groups": [dict(group, layers=2 * group["layers"]) for group in
                           model.mtp["groups"]],
                "dense_bytes": 2 * model.mtp["dense_bytes"],
                "expert_bytes": 2 * model.mtp["expert_bytes"]})
            for seen, expected in zip(*[at(item, node, tp, dp, speculative_tokens=3).speed.parts[
                    "draft"] for item in (twice, model)]):
                self.assertAlmostEqual(seen / (expected or 1), 1 if expected else 0, 9)

    def test_ate_onde_especular_compensa(self):
        """A carga em que os dois TPOT se cruzam, e o aviso de quem passa dela"""
        seen = set()
        for name, drafts, accepted in (
                ("deepseek-r1", 3, "1.9"), ("deepseek-r1", 1, "1.9"), ("glm-5-fp8", 5, "2.2"),
                ("qwen3.5-27b", 8, "1"), ("qwen3.5-27b", 8, "1.3")):
            choices = {"speculative_tokens": drafts, "tensor_parallel": 8,
                       "requested_acceptance_length": Fraction(accepted)}
            offer = answer(asking(name, "dgx200", 1, 8192, **choices)).internal.offer
            until, most = offer.speculation_pays_until, offer.layout.sessions_per_replica
            pays = [offer.speed.tpot_ms(load) < offer.plain_speed.tpot_ms(load)
                    for load in range(1, most + 1)]
            self.assertEqual(until, None if pays[-1] else max(
                [load for load, better in enumerate(pays, 1) if better], default=0))
            seen.add("sempre" if until is None else bool(until))
            for load in {1, until or 1, min(most, (until or 0) + 1), most}:
                planned = answer(asking(name, "dgx200", load, 8192, peak_headroom_ratio=Fraction(0),
                                        nodes=1, **choices))
                document = document_of(planned)
                self.assertEqual("speculation_slower" in self.codes(document), not pays[load - 1])
                self.assertEqual(document["performance"]["speculation_pays_until"], until)
        self.assertEqual(seen, {"sempre", True, False})

    def test_aceitacao(self):
        """O padrão de cada K, o valor dado e o que se recusa"""
        asked = {"model": "deepseek-r1", "server": "dgx200", "concurrency": 10,
                 "effective_context": 4096}
        for drafts, length in enumerate(sizing.ACCEPTANCE_LENGTHS):
            self.assertTrue(1 <= length <= drafts + 1)
            if drafts:
                document = self.sized(**asked, speculative_tokens=drafts)
                self.assertEqual(document["parameters"]["acceptance_length"], float(length))
                self.assertEqual(document["performance"], self.sized(
                    **asked, speculative_tokens=drafts, acceptance_length=float(length)
                )["performance"])
        beyond = len(sizing.ACCEPTANCE_LENGTHS)
        self.refused(flags(dict(asked, speculative_tokens=beyond)), "--acceptance-length",
                     "de 1 a %d" % (beyond + 1), "até %d rascunhados" % (beyond - 1))
        self.assertEqual(self.sized(**asked, speculative_tokens=beyond, acceptance_length="1")[
            "parameters"]["acceptance_length"], 1)
        self.refused(flags(dict(asked, speculative_tokens=2, acceptance_length="3.01")),
                     "--acceptance-length 3.01", "de 1 a 3")
        self.assertNotIn("só há padrão", self.refused(flags(dict(
            asked, speculative_tokens=3, acceptance_length=5)), "de 1 a 4"))
        self.refused(flags(dict(asked, speculative_tokens=2, acceptance_length="0.99")),
                     "--acceptance-length", "0.99")
        self.refused(flags(dict(asked, acceptance_length=2)), "--acceptance-length",
                     "--speculative-tokens")
        self.refused(flags(dict(asked, speculative_tokens=0, acceptance_length=1)),
                     "--acceptance-length", "sem efeito")
        self.assertNotIn("acceptance_length", str(figures_of(answer(asking(
            "deepseek-r1", "dgx200", 10, 4096)))))

    def test_pares(self):
        """Os pares consulta-chave são a soma do que cada token vê, com ou sem prefixo"""
        shape = (1, 1, 64, 64)
        groups = {kind: cache_group(kind, *shape, *window) for kind, window in (
            ("full", ()), ("sliding", (100,)), ("chunked", (100,)))}
        for kind, group in groups.items():
            for new, cached in ((1, 0), (50, 0), (1000, 0), (50, 30), (500, 77), (1024, 5000)):
                counted = sum({"full": at, "sliding": min(at, 100), "chunked": at % 100}[kind]
                              for at in range(cached, cached + new))
                self.assertLessEqual(abs(query_key_pairs(group, new, cached) - counted), new,
                                     (kind, new))
        sparse = cache_group("mla", 1, 512, 64, read_tokens=2048)
        self.assertEqual(query_key_pairs(sparse, 1000, 10000), 1000 * 2048)
        self.assertEqual(read_bytes(sparse, 100000, 1), 2048 * 576)
        self.assertEqual(read_bytes(cache_group("linear", 3, 1000, 8), 5, 1), 6000)

    def test_ancoras(self):
        """120b: prompt de 131072 sozinho, TPOT de uma sessão e 1000 sessões em 2 nós"""
        for server, low, high in (("dgx200", 1.3, 2.0), ("dgx300", 0.55, 1.0)):
            speed = at("opt-oss-120b", server, 8, 1, 131071, 1)
            self.assertTrue(low <= speed.alone_seconds <= high, speed.alone_seconds)
            alone = self.sized(server=server, nodes=1, concurrency=1)["performance"]
            self.assertTrue(2.4 <= alone["tpot_ms"]["estimate"] <= 4.5, alone["tpot_ms"])
        fresh = self.sized(nodes=2)["performance"]
        turn = self.sized(nodes=2, input_tokens=1024)["performance"]
        self.assertAlmostEqual(fresh["tpot_ms"]["estimate"] / 300, 1, delta=0.05)
        self.assertAlmostEqual(turn["tpot_ms"]["estimate"] / 38.5, 1, delta=0.05)
        self.assertEqual((fresh["binding"], turn["binding"]), ("prefill_interference", "kv"))
        self.assertEqual(fresh["cases"][2], turn["cases"][0])

    def test_nim(self):
        """Llama-3.3-70B FP8 no NIM, tp 2 em H100, 5000/500 tokens: o previsto conhecido"""
        speed = at("llama-3.3-70b", "dgx-h100", 2, 1, 5000, 500, weights_precision="fp8")
        for sessions, expected in ((1, 17.08), (5, 20.9), (25, 39.99), (50, 63.85), (82, 94.4)):
            self.assertAlmostEqual(speed.tpot_ms(sessions), expected, delta=0.06)

    def test_precisao_em_que_se_calcula(self):
        """A dos pesos, se a GPU a tem; MXFP4 em fp8 no Blackwell; senão 16 bits"""
        units = {("dgx-h100", "nvfp4"): 989, ("dgx-h100", "mxfp4"): 989, ("dgx-h100", "fp8"): 1979,
                 ("dgx-b200", "mxfp4"): 4500, ("dgx-b200", "nvfp4"): 9000,
                 ("dgx-b200", "int4"): 2250, ("dgx-a100", "fp8"): 312,
                 ("dgx-a100", "bf16"): 312, ("dgx-b200", "int8"): 2250}
        for (server, precision), tflops in units.items():
            self.assertEqual(computing_flops(server, precision), tflops * 1e12,
                             (server, precision))

    def test_camadas_de_um_bloco_so(self):
        """Duas partes por camada; uma nas camadas só FFN, e nas duas do Nemotron-H"""
        for name, parts in (("llama-3.1-8b", 64), ("nemotron-super-49b", 129),
                            ("nemotron-3-nano", 52), ("granite-4.0-h-small", 80)):
            entry = in_catalogue("models", name)
            launch = at(name, "dgx200", 8).breakdown_ms(1)["launch"]
            states = sum(group.layers for group in entry.kv_groups if group.fixed_bytes)
            extra = 0.048 * (entry.moe_layers or 0) + 0.009 * states
            self.assertAlmostEqual((launch - extra) / 0.051 * 2, parts, msg=name)

    def test_partida_e_enlaces(self):
        """A partida de cada tipo de camada; fora do NVLink a comunicação é por PCIe"""
        rows = (("deepseek-r1", "dgx200", 61 * 0.068 + 58 * 0.048),
                ("deepseek-r1-0528-nvfp4-v2", "dgx-b200", 61 * 0.068 + 58 * 0.008),
                ("deepseek-v3.2", "dgx200", 61 * (0.068 + 0.024) + 58 * 0.048),
                ("deepseek-v4", "dgx200", 61 * (0.051 + 0.120 + 0.048)),
                ("deepseek-v4", "dgx-b200", 61 * (0.051 + 0.120 + 0.008)),
                ("minimax-m3-mxfp8", "dgx200", 60 * 0.051 + 57 * (0.048 + 0.035 + 0.024)),
                ("kimi-k2.5", "dgx-b200", 61 * 0.068 + 60 * 0.048))
        for name, server, launch in rows:
            self.assertAlmostEqual(at(name, server, 8).breakdown_ms(1)["launch"], launch, msg=name)
        self.assertAlmostEqual(at("deepseek-r1", "dgx200", 1, 8).breakdown_ms(8)["launch"],
                               1.55 * rows[0][2])
        sent = {(server, tp): at("llama-3.1-70b", server, tp).each_seconds("communication") * tp
                / (tp - 1) for server, tp in (("h100-nvl-8x", 2), ("h100-nvl-8x", 4))}
        # NVLink: 4.8 TB/s / 8 / 2 = 300 GB/s; PCIe: 64 GB/s
        self.assertAlmostEqual(sent["h100-nvl-8x", 4] / sent["h100-nvl-8x", 2], 300 / 64)

    def test_especialistas(self):
        """O que se alcança do pico nos especialistas, pela precisão e pela GPU"""
        rows = (("kimi-k2.5", "dgx-b200", 0.046, 0.13), ("deepseek-r1", "dgx200", 0.13, 0.099),
                ("opt-oss-120b", "dgx200", 0.13, 0.19), ("opt-oss-120b", "dgx-b200", 0.13, 0.30),
                ("qwen3-30b-a3b", "dgx200", 0.13, 0.20), ("deepseek-r1", "dgx-a100", 0.13, 0.20))
        for name, server, decode, prefill in rows:
            terms = at(name, server, 8).speed.terms
            self.assertEqual((terms["experts_decode_mfu"], terms["experts_prefill_mfu"]),
                             (decode, prefill), (name, server))

    def test_silicio(self):
        """Com mais banda e mais contas, a mesma carga nunca é prevista mais lenta, em GPU alguma"""
        def figures(server):
            per_gpu = float(server.nvlink_bandwidth_tbps or 0) / server.gpus
            return [float(getattr(server, name) or 0) for name in (
                "hbm_bandwidth_tbps", "tflops_bf16", "tflops_fp8", "tflops_fp4")] + [per_gpu]

        pairs = [(fast, slow) for fast, slow in itertools.permutations(entries_of("servers"), 2)
                 if slow.tflops_bf16 and all(map(operator.ge, figures(fast), figures(slow)))]
        self.assertGreater(len(pairs), 20)
        wide = {server.name: [tp for tp in (1, 4, 8) if tp <= server.gpus and (
            tp == 1 or server.nvlink_reaches(tp))] for server in entries_of("servers")}
        models = rounds(entries_of("models"), entries_of("models")[::4])
        for number, (model, (fast, slow)) in enumerate(itertools.product(models, pairs)):
            tp = (1, 4, 8)[number % 3]
            if tp not in wide[fast.name] or tp not in wide[slow.name]:
                continue
            choices = {"weights_precision": (None, "fp8", "nvfp4")[number % 5 % 3]}
            quick, other = [at(model, server, tp, 1, 8192, 1024, **choices).speed
                            for server in (fast, slow)]
            for sessions in (1, 64, 1024):
                self.assertLessEqual(
                    quick.tpot_ms(sessions), other.tpot_ms(sessions) * (1 + 1e-12),
                    (model.name, fast.name, slow.name, tp, sessions, choices))
            self.assertLessEqual(quick.alone_seconds, other.alone_seconds * (1 + 1e-12))

    def test_faixas(self):
        """A faixa de 80% de densos, MoE, attention-DP, depois de calibrar e sem medidas"""
        rows = (({}, (0.82, 1.27)), ({"model": "llama-3.1-8b"}, (0.83, 1.24)),
                ({"model": "deepseek-r1", "server": "dgx200", "tensor_parallel": 1,
                  "concurrency": 9, "effective_context": 8192}, (0.65, 1.45)),
                ({"model": "deepseek-r1", "server": "dgx200", "tensor_parallel": 8,
                  "concurrency": 9, "effective_context": 8192, "speculative_tokens": 3},
                 (0.80, 1.37)),
                ({"model": "llama-3.1-405b", "server": "dgx-h100", "weights_precision": "bf16",
                  "effective_context": 8192}, (0.5, 2)),
                ({"calibrate_tpot_ms": "40@300", "nodes": 2}, (0.86, 1.14)))
        for changes, factors in rows:
            speed = self.sized(**changes)["performance"]
            tpot, session = speed["tpot_ms"], speed["output_tokens_per_second_per_session"]
            for key, factor in zip(("low", "high"), factors):
                self.assertAlmostEqual(tpot[key] / tpot["estimate"], factor)
            self.assertAlmostEqual(session * tpot["estimate"], 1000, places=4)
            spread = speed["output_tokens_per_second_per_session_range"]
            self.assertAlmostEqual(spread["low"] * tpot["high"], 1000, places=4)

    def test_parcelas(self):
        """As parcelas somam o TPOT, a dominante é a maior e a vazão por nó fecha com a latência"""
        for changes in ({}, {"model": "deepseek-r1", "server": "dgx200", "max_tpot_ms": 10**6},
                        {"model": "llama-3.1-8b"}, {"server": "dgx-b200"}):
            for case in self.sized(**changes)["performance"]["cases"]:
                parts, tpot = case["breakdown_ms"], case["tpot_ms"]["estimate"]
                self.assertEqual(set(parts), {"weights", "experts", "kv", "communication",
                                              "launch", "prefill_interference"})
                self.assertAlmostEqual(sum(parts.values()) / tpot, 1, 6)
                self.assertEqual(parts[case["binding"]], max(parts.values()))
                self.assertAlmostEqual(case["prefill_ratio"],
                                       parts["prefill_interference"] / tpot, 6)
                for name in ("ttft_ms", "ttft_p95_ms"):
                    self.assertEqual(case[name] is None, case["queue_utilization"] > 0.9)
                if 0 < case["queue_utilization"] < 0.5:  # na mediana, nenhuma espera
                    latency = (case["ttft_ms"]["estimate"] + 1023 * tpot) / 1000
                    self.assertAlmostEqual(case["output_tokens_per_second_per_node"] * latency
                                           * case["nodes"] / (1024 * case["sessions"]), 1, 6)

    def test_objetivos_exatos(self):
        """A carga por réplica atende ao objetivo e mais uma sessão não, em todo leiaute"""
        generator, limits = random.Random(11), set()
        for _ in range(150):
            question = asking(
                generator.choice(entries_of("models")), generator.choice(entries_of("servers")),
                generator.randint(1, 3000), generator.choice((2048, 8192, 32768)),
                max_tpot_ms=generator.choice((None, 15.0, 40.0, 90.0)),
                max_ttft_ms=generator.choice((None, 700.0, 3000.0)))
            try:
                result = answer(question)
            except SizingError as error:
                self.assertIn(error.status, (2, 3))
                continue
            limits.add(result.limited_by)
            if question.max_tpot_ms is None and question.max_ttft_ms is None:
                continue
            replica = replica_of(result)
            fullest = -(-result.sessions // replica.per_unit)
            self.assertEqual(replica.missed(fullest), "")
            if result.limited_by in ("tpot", "ttft"):
                self.assertEqual(replica.missed(fullest + 1), result.limited_by)
                self.assertEqual(result.sessions, fullest * replica.per_unit)
            for _, nodes, _ in layouts_of(result):
                self.assertLessEqual(result.nodes_with_headroom, nodes)
        self.assertEqual(limits, {"plan", "engine_memory", "tpot", "ttft"})

    def test_objetivos(self):
        """50 ms com prompts novos pedem de 5 a 8 vezes os 2 nós; folgar o objetivo nunca compra"""
        fifty = self.sized(max_tpot_ms=50)
        self.assertEqual(fifty["results"]["limited_by"], "tpot")
        self.assertTrue(10 <= fifty["results"]["nodes_with_headroom"] <= 16)
        turn = self.sized(max_tpot_ms=50, input_tokens="1k")
        self.assertEqual(turn["performance"]["nodes_other_end"], None)
        self.assertEqual(fifty["performance"]["nodes_other_end"], turn["results"]["nodes_final"])
        self.assertLess(turn["results"]["nodes_final"], 4)
        self.assertEqual(self.sized(max_ttft_ms=2000)["results"]["limited_by"], "ttft")
        nodes = [self.sized(max_tpot_ms=ms)["results"]["nodes_final"] for ms in (20, 50, 120, 1e6)]
        self.assertEqual(nodes, sorted(nodes, reverse=True))
        self.assertEqual(nodes[-1], 2)
        text = self.ok(*flags(dict(BASE, max_tpot_ms=50)))
        engine = fifty["engine"]
        self.assertIn("limite: TPOT de 50 ms (plano 613; motor ~%d; log %.1fx por" % (
            engine["sessions_per_node"], engine["sessions_logged"]), text)
        self.assertIn("vLLM 0.33, %s\n" % engine["layout"], text)
        self.assertIn(" · prefixo em cache: 2 · ", text)

    def test_fora_do_alcance(self):
        """Objetivo inalcançável: status 3, o melhor alcançável e o que o alcançaria"""
        self.refused(flags(dict(BASE, max_tpot_ms=2)),
                     "TPOT de 2 ms fora do alcance: o melhor é 2.64 ms (tp 8)",
                     "em nenhum servidor", status=3)
        # com outro objetivo, que o mesmo leiaute já cumpre, o melhor não muda
        self.refused(flags(dict(BASE, max_tpot_ms=2, max_ttft_ms="674.1")), "por pedido: TPOT de "
                     "2 ms fora do alcance: o melhor é 2.64 ms (tp 8)", status=3)
        # o que outro leiaute cumpre não está fora do alcance, a não ser juntos
        old = {"model": "llama-3.3-70b", "server": "dgx-a100", "concurrency": 10,
               "effective_context": "32k", "min_tokens_per_second": 50}
        self.refused(flags(dict(old, max_ttft_ms=1000)), "por pedido: TTFT de 1000 ms fora do "
                     "alcance: o melhor é 4240 ms (tp 8)", status=3)
        self.refused(flags(dict(old, max_ttft_ms=3000)), "por pedido: TTFT de 3000 ms e 50 "
                     "tokens/s, juntos, fora do alcance: o melhor é 4240 ms e 66.1 tokens/s (tp 8)",
                     status=3)
        self.refused(flags(dict(old, max_ttft_ms=1000, min_tokens_per_second=90)), "por pedido: "
                     "TTFT de 1000 ms e 90 tokens/s fora do alcance: o melhor é 2780 ms e 32.5 ",
                     status=3)
        self.ok(*flags(dict(old, max_ttft_ms=4240)))
        del old["min_tokens_per_second"]
        self.refused(flags(dict(old, max_tpot_ms=20, max_ttft_ms=3000)), "por pedido: TPOT de 20 "
                     "ms e TTFT de 3000 ms, juntos, fora do alcance: o melhor é 15.2 ms e 4240 ms ",
                     status=3)
        self.assertNotIn("nenhum servidor", self.refused(
            flags(dict(BASE, max_ttft_ms=200)), "TTFT de 200 ms fora do alcance: o melhor é ",
            "; cabe com --input-tokens 1024", status=3))
        self.refused(flags(dict(BASE, model="llama-3.1-70b", effective_context=8192,
                                max_tpot_ms=7)), "cabe com --weights-precision fp8", status=3)
        self.refused(flags(dict(BASE, model="llama-3.1-70b", effective_context=8192,
                                max_tpot_ms=7, weights_precision="fp16")),
                     "cabe com --weights-precision fp8", status=3)
        self.refused(flags(dict(BASE, model="llama-3.1-405b", server="dgx200", max_tpot_ms=22)),
                     "cabe em: gb200-nvl72", status=3)

    def test_pontas(self):
        """Sem --input-tokens, as duas pontas, com todos os nós e depois da falha; com ele, uma"""
        def shown(**changes):
            return [(case["input_tokens"], case["cached_tokens"], case["nodes"],
                     case["sessions_per_replica"])
                    for case in self.sized(**changes)["performance"]["cases"]]

        # com três nós, no pico de 1200, depois da falha, e no pico depois dela
        states = ((3, 334), (3, 400), (2, 500), (2, 600))
        both = [(new, cached, *state) for new, cached in ((130048, 0), (1024, 129024))
                for state in states]
        self.assertEqual(shown(ha="n+1"), both)
        self.assertEqual(shown(ha="n+1", input_tokens=1024), both[4:])
        self.assertEqual(shown(ha="n+1", input_tokens=130048, output_tokens=1024), both[:4])
        self.assertEqual(shown(ha="n+1", peak_headroom_ratio=0), both[::2])
        # num nó, o pico de 1 são 2, e nada resta depois da falha
        self.assertEqual(shown(concurrency=1), [
            (new, cached, 1, sessions) for new, cached in ((130048, 0), (1024, 129024))
            for sessions in (1, 2)])
        # a sessão a mais do pico vai a outra das 8 réplicas
        self.assertEqual(shown(effective_context=1, concurrency=1), [(0, 0, 1, 1)] * 2)
        self.assertEqual(shown(effective_context=2048, concurrency=1),
                         [(1024, 0, 1, 1)] * 2)
        # sem o nó que caiu, só o que os outros admitem
        self.assertEqual(shown()[1:3], [(130048, 0, 2, 600), (130048, 0, 1, 613)])

    def test_carga_fixa(self):
        """--nodes: cabe exatamente de ⌈sessões / 613⌉ nós em diante, sem pico nem HA"""
        for nodes, sessions in ((1, 613), (2, 614), (2, 1226), (3, 1227)):
            document = self.sized(nodes=nodes, concurrency=sessions)
            self.assertEqual((document["results"]["nodes_final"],
                              document["results"]["nodes_minimum"]), (nodes, nodes))
            self.assertEqual(document["performance"]["sessions"], sessions)
            self.assertEqual(document["performance"]["sessions_per_replica"], -(-sessions // nodes))
        self.refused(flags(dict(BASE, nodes=2, concurrency=1227)), "esta carga pede 3 nós",
                     "admitem 1226", status=3)
        self.refused(flags(dict(BASE, nodes=9, max_tpot_ms=30)), "limite: TPOT", status=3)
        wide = self.sized(model="kimi-k2", server="dgx-h100", nodes=7, concurrency=100)
        self.assertEqual((wide["results"]["nodes_final"], wide["ha_plan"]["nodes_after_failure"]),
                         (7, 4))  # os ociosos substituem o que cai
        self.assertEqual(wide["ha_plan"]["sessions_after_failure"],
                         wide["results"]["sessions_per_unit"])
        text = self.ok(*flags(dict(BASE, nodes=2)))
        self.assertTrue(text.startswith(
            "SEUS 2 × DGX B300 MANTÊM 1000 sessões, com 226 vagas livres\n"))
        self.assertIn("\nNós         2 dados; o mínimo é 2; storage profile_default\n", text)

    def test_pedidos_por_segundo(self):
        """Lei de Little: o menor ponto fixo, no menor número de nós em que ele cabe"""
        generator, sizes = random.Random(5), set()
        for _ in range(60):
            question = asking(
                generator.choice(entries_of("models")[:12]), in_catalogue("servers", "dgx200"), 0,
                generator.choice((4096, 16384)), requests_per_second=Fraction(
                    generator.randint(1, 400), generator.randint(1, 8)))
            result = answer_to(question)
            if result is None:
                continue
            sizes.add(result.nodes_with_headroom)
            nodes, replicas = result.nodes_with_headroom // result.unit, replica_of(result).per_unit
            peak, rate = Fraction(6, 5), question.requests_per_second
            self.assertIsNotNone(steady_sessions(result, rate * peak / nodes))
            if nodes > 1:
                self.assertIsNone(steady_sessions(result, rate * peak / (nodes - 1)))
            self.assertAlmostEqual(result.peak_sessions / nodes,
                                   steady_sessions(result, rate * peak / nodes), delta=replicas)
            self.assertAlmostEqual(result.concurrency / nodes,
                                   steady_sessions(result, rate / nodes), delta=replicas)
        self.assertGreater(len(sizes), 5)
        question = {"model": "opt-oss-120b", "server": "dgx300", "requests_per_second": 5}
        document = json.loads(self.ok(*flags(question), "--json"))
        self.assertEqual(document["parameters"]["concurrency"],
                         document["performance"]["sessions"])
        self.assertIn("5 pedidos/s (%d sessões)" % document["parameters"]["concurrency"],
                      self.ok(*flags(question)))

    def test_calibracao(self):
        """O ponto medido sai igual, no mesmo leiaute, e o relatório diz; sessões demais, não"""
        for server, sessions in (("dgx300", 300), ("dgx200", 100)):
            plain = self.sized(server=server, nodes=1, concurrency=sessions)
            measured = 1.3 * plain["performance"]["tpot_ms"]["estimate"]
            point = "%.9f@%d" % (measured, sessions)
            fixed = self.sized(server=server, nodes=1, concurrency=sessions,
                               calibrate_tpot_ms=point)
            self.assertEqual(fixed["engine"]["layout"], plain["engine"]["layout"])
            self.assertAlmostEqual(fixed["performance"]["tpot_ms"]["estimate"] / measured, 1, 6)
            self.assertAlmostEqual(fixed["parameters"]["tpot_scale"], 1.3, 6)
            scaled = dict(BASE, server=server, nodes=1, concurrency=sessions,
                          calibrate_tpot_ms=point)
            text = " ".join(self.ok(*flags(scaled)).split())
            self.assertIn("tempos × 1.3, calibrados por %.9g ms com %d sessões na réplica"
                          % (measured, sessions), text)
        most = self.sized()["engine"]["sessions_per_replica"]
        self.refused(flags(dict(BASE, calibrate_tpot_ms="40@9999")), "até %d sessões" % most)
        speed = at("llama-3.1-8b", "dgx-h100")
        twice = at("llama-3.1-8b", "dgx-h100", tpot_scale=2.0)
        for rate in (lambda item: item.saturated_tokens_per_second(20),
                     lambda item: 1 / item.tpot_ms(20),
                     lambda item: 1 / item.alone_seconds):
            self.assertAlmostEqual(rate(speed) / rate(twice), 2)
        slow = self.sized(max_tpot_ms=60, calibrate_tpot_ms="400@60")["results"]
        fast = self.sized(max_tpot_ms=60, calibrate_tpot_ms="100@60")["results"]
        self.assertGreater(slow["nodes_final"], fast["nodes_final"])

    def test_ponto_neutro(self):
        """Devolver o TPOT previsto às sessões dele não muda nós nem tempos, com objetivos ou não"""
        limits = ({}, {"max_tpot_ms": 60}, {"min_tokens_per_second": 25, "max_ttft_ms": 3000},
                  {"max_tpot_ms": 50, "confidence": "90%", "ha": "n+1"})
        seen = set()
        for model, limit, (tp, load) in itertools.product(
                ("opt-oss-120b", "llama-3.3-70b"), limits,
                ((None, {"concurrency": 400}), (2, {"concurrency": 400}),
                 (None, {"requests_per_second": 6}))):
            question = dict({"model": model, "server": "dgx300", "effective_context": "16k",
                             "input_tokens": 1024}, **load, **limit)
            question.update({"tensor_parallel": tp} if tp else {})
            with self.subTest(question):
                plain = json.loads(self.ok(*flags(question), "--json"))
                before, engine = plain["performance"], plain["engine"]
                point = "%.12f@%d" % (before["tpot_ms"]["estimate"],
                                      before["sessions_per_replica"])
                fixed = json.loads(self.ok(*flags(question), "--calibrate-tpot-ms=" + point,
                                           "--json"))
                after = fixed["performance"]
                self.assertAlmostEqual(fixed["parameters"]["tpot_scale"], 1, 6)
                self.assertEqual(fixed["engine"]["layout"], engine["layout"])
                if limit.get("confidence"):  # a faixa mais estreita pode pedir menos
                    self.assertLessEqual(fixed["results"]["nodes_final"],
                                         plain["results"]["nodes_final"])
                else:
                    self.assertEqual(fixed["results"]["nodes_final"],
                                     plain["results"]["nodes_final"])
                    self.assertEqual(after["sessions"], before["sessions"])
                    for name in ("tpot_ms", "ttft_ms"):
                        if before[name]:
                            self.assertAlmostEqual(
                                after[name]["estimate"] / before[name]["estimate"], 1, 6)
                if (model, engine["layout"]) not in seen:
                    text = self.ok(*flags(question), "--calibrate-tpot-ms=" + point)
                    self.assertIn("na réplica de %s" % engine["layout"], " ".join(text.split()))
                seen.add((model, engine["layout"]))
        self.assertGreater(len(seen), 4, seen)
        # com o objetivo que só o medido alcança, o leiaute é o da pergunta sem ele
        free = self.sized(input_tokens=1024)
        best = free["performance"]["ttft_ms"]["estimate"]
        for limit in ({"max_tpot_ms": 2.5}, {"min_tokens_per_second": 400},
                      {"max_ttft_ms": best / 4}, {"max_ttft_p95_ms": best / 4}):
            asked = dict(BASE, input_tokens=1024, **limit)
            self.refused(flags(asked), "fora do alcance", status=3)
            for point in ("1@300", "2@50"):
                fixed = json.loads(self.ok(*flags(asked), "--calibrate-tpot-ms", point, "--json"))
                self.assertEqual(fixed["engine"]["layout"], free["engine"]["layout"])
                name, = limit  # e o objetivo continua a valer
                self.assertEqual(fixed["parameters"][name], limit[name])
                self.assertNotIn("missed", [item["verdict"] for item in fixed["objectives"]
                                            if item["state"] in ("nominal", "peak")])

    def test_avisos(self):
        """Cada aviso de velocidade, dos dois lados do limiar"""
        turn = {"input_tokens": 1024}
        rows = (("slow_decode", {}, turn), ("heavy_prefill", {}, turn),
                ("no_speed", {"model": "opt-oss-20b", "server": "dgx-spark", "concurrency": 5},
                 {"model": "opt-oss-20b", "concurrency": 5}),
                ("far_calibration", dict(turn, calibrate_tpot_ms="90@300"),
                 dict(turn, calibrate_tpot_ms="40@300")))
        for code, causing, clear in rows:
            with self.subTest(code, changes=causing):
                self.assertIn(code, self.codes(self.sized(**causing)))
                self.assertNotIn(code, self.codes(self.sized(**clear)))

    def test_rede_desconhecida(self):
        """Sem a banda da rede, uma réplica de vários nós não tem velocidade; a de um nó, sim"""
        document, wide = catalogue("servers"), {"model": "kimi-k2", "server": "dgx-h100"}
        del listed("servers", "dgx-h100", document)["network_gbps_per_gpu"]
        with temporary_file(document) as path:
            wide.update(servers_file=path)
            sized = self.sized(**wide)
            self.assertIsNone(sized["performance"])
            self.assertIn("no_speed: não há velocidade prevista: falta network_gbps_per_gpu no "
                          "catálogo, em dgx-h100", sized["warnings"])
            for asked in ({"max_tpot_ms": 500}, {"max_ttft_ms": 10**6}):
                self.refused(flags(dict(BASE, **wide, **asked)), "network_gbps_per_gpu", status=3)
            self.refused([*flags(dict(BASE, **wide)), "--output-tokens=64"], "--output-tokens",
                         "network_gbps_per_gpu")
            one = self.sized(server="dgx-h100", servers_file=path)
            self.assertIsNotNone(one["performance"])
            # nem um TPOT medido, que não se compara com um previsto
            self.refused(flags(dict(BASE, **wide, calibrate_tpot_ms="40@1")),
                         "network_gbps_per_gpu", status=3)
        known = self.sized(model="kimi-k2", server="dgx-h100")
        self.assertIn("réplica de %d nós" % known["results"]["nodes_per_unit"],
                      known["performance"]["extrapolated"])

    def test_extrapolacao(self):
        """O que está fora das medidas é dito: contexto, GPU, PCIe, precisão, atenção"""
        rows = (({}, ["contexto acima de 32768"]), ({"effective_context": "32k"}, []),
                ({"effective_context": "8k", "server": "h100-nvl-8x"},
                 ["GPU sem medidas", "comunicação por PCIe"]),
                ({"effective_context": "8k", "server": "l40s-8x", "model": "qwen3-8b",
                  "tensor_parallel": 1}, ["GPU sem medidas"]),
                ({"effective_context": "8k", "model": "kimi-k2.5", "server": "gb200-nvl72",
                  "concurrency": 9}, ["réplica de 72 GPUs"]),
                ({"effective_context": "8k", "model": "qwen3-8b", "weights_precision": "int8",
                  "tensor_parallel": 1}, ["pesos int8"]),
                ({"effective_context": "8k", "model": "deepseek-v4", "tensor_parallel": 8}, []))
        for changes, expected in rows:
            with self.subTest(changes):
                self.assertEqual(self.sized(**changes)["performance"]["extrapolated"], expected)
        self.assertIn("\nPrevisão; fora do medido: contexto acima de 32768. Contas: --explain\n",
                      self.ok(*flags(BASE)))
        self.assertIn("\nPrevisão, não medição. Contas: --explain",
                      self.ok(*flags(dict(BASE, effective_context="32k"))))
        document = catalogue("models")  # 8 GPUs foram medidas; 9, não
        with_heads = listed("models", "llama-3.1-8b", document)
        for gpus, expected in ((8, []), (9, ["réplica de 9 GPUs"])):
            with_heads.update(num_attention_heads=8 * gpus, num_key_value_heads=gpus)
            with temporary_file(document) as path:
                self.assertEqual(self.sized(
                    model="llama-3.1-8b", server="gb200-nvl72", effective_context="8k",
                    tensor_parallel=gpus, models_file=path)["performance"]["extrapolated"],
                    expected)

    def test_perguntas_ruins(self):
        """Cada erro nas flags da carga: uma linha, status 2"""
        rows = (
            ({"input_tokens": 131072}, "--input-tokens", "com a saída de 1024"),
            ({"input_tokens": 130049}, "não cabe no contexto de 131072"),
            ({"output_tokens": 131073}, "--output-tokens", "131072"),
            ({"output_tokens": 131072}, "--output-tokens", "não cabe"),
            ({"input_tokens": 1, "effective_context": 1}, "--input-tokens"),
            ({"requests_per_second": 2}, "--requests-per-second", "--concurrency"),
            ({"nodes": 2, "ha": "n+1"}, "--nodes", "--ha"),
            ({"nodes": 2, "peak_headroom_ratio": 0}, "--nodes", "--peak-headroom-ratio"),
            *(({"calibrate_tpot_ms": text}, "--calibrate-tpot-ms", "MS@SESSÕES") for text in (
                "40", "40@", "@300", "0@300", "40@0", "-1@300", "40@-1", "40@1.5", "x@300",
                "40@300@1", "1e400@3", "")),
            *(({flag: text}, "--" + flag.replace("_", "-")) for text in ("0", "-1", "x", "nan", "")
              for flag in ("input_tokens", "output_tokens", "max_tpot_ms", "max_ttft_ms", "nodes")))
        for changes, *words in rows:
            with self.subTest(changes):
                self.refused(flags(dict(BASE, **changes)), *words)
        self.refused(["--model=opt-oss-120b", "--server=dgx300", "--requests-per-second=0"],
                     "--requests-per-second", "'0'")
        for flag, value in (("max_tpot_ms", 50), ("max_ttft_ms", 50), ("calibrate_tpot_ms", "5@1")):
            self.refused(flags(dict(BASE, model="opt-oss-20b", server="dgx-spark", concurrency=5,
                                    **{flag: value})), "--" + flag.replace("_", "-"), "tflops_bf16")

    def test_campos_que_faltam(self):
        """Sem um dado da velocidade há nós, sem previsão, e o aviso diz qual falta"""
        rows = (("servers", "dgx300", "hbm_bandwidth_tbps"), ("servers", "dgx300", "tflops_bf16"),
                ("models", "opt-oss-120b", "moe_layers"),
                ("models", "opt-oss-120b", "params_total"), ("models", "deepseek-v3", "v_head_dim"),
                ("models", "deepseek-v3.2", "index_topk"),
                ("models", "deepseek-v4-pro", "index_n_heads"),
                ("models", "llama-3.1-8b-instruct", "params_embedding"))
        for kind, name, field in rows:
            document = catalogue(kind)
            entry = listed(kind, name, document)
            del entry[field]
            if field == "params_total":
                del entry["params_active"]
            with self.subTest(field), temporary_file(document) as path:
                sized = self.sized(**{kind[:-1]: name, kind + "_file": path})
                self.assertIsNone(sized["performance"])
                self.assertIn("no_speed: não há velocidade prevista: falta no catálogo " + field,
                              sized["warnings"])

    def test_prompt_sozinho(self):
        """O TTFT refeito: atenção dividida só por tp, nunca menos que ler os pesos"""
        for name, server, tp, dp, inputs in (("llama-3.1-70b", "dgx200", 8, 1, 5000),
                                             ("llama-3.1-70b", "dgx200", 1, 1, 1),
                                             ("deepseek-r1", "dgx200", 1, 8, 20000),
                                             ("deepseek-r1", "dgx200", 8, 1, 1),
                                             ("opt-oss-120b", "dgx-b200", 4, 1, 9000)):
            speed = at(name, server, tp, dp, inputs, 100)
            _, prefill, alone = naive_speed(name, server, tp, dp, inputs, 100)
            self.assertAlmostEqual(speed.alone_seconds / alone, 1, 9, (name, tp, inputs))
            self.assertAlmostEqual(speed.prefill_seconds / prefill, 1, 9, name)

    def test_fila(self):
        """A espera refeita: M/G/1 em passos, mediana e P95, sem fila de uma sessão só"""
        for model, server, tp, dp, inputs, outputs in (
                ("llama-3.1-70b", "dgx200", 8, 1, 5000, 100),
                ("deepseek-r1", "dgx200", 1, 8, 20000, 300),
                ("opt-oss-120b", "dgx-b200", 4, 1, 90000, 1000)):
            replica = at(model, server, tp, dp, inputs, outputs)
            batch = 8192 if server == "dgx200" else 16384
            for sessions in (1, 2, 9, 33, 70):
                tpot = replica.tpot_ms(sessions)
                others = 1e3 * replica.prefill_seconds * (sessions - 1) / outputs
                each = max(1, sessions / dp)
                steps = inputs / (batch - each)
                busy = (each - 1) * steps / outputs
                idle = (1e3 * replica.alone_seconds + (-(-inputs // batch) - 1) * (tpot - others)
                        + 1.5 * tpot)
                service = 1e3 * dp * replica.prefill_seconds + steps * (tpot - others)
                for name, late in (("ttft", 0.5), ("ttft_p95", 0.05)):
                    seen = replica.time_ms(name, sessions)
                    if busy > 0.9:
                        self.assertEqual(seen, math.inf)
                        continue
                    wait = service / 2 / (1 - busy) * math.log(busy / late) if busy > late else 0
                    self.assertAlmostEqual(seen / (idle + wait), 1, 9, (server, sessions))
            last = replica.queue_sessions
            self.assertLess(replica.time_ms("ttft", last), math.inf)
            self.assertEqual(replica.time_ms("ttft", last + 1), math.inf)
            self.assertEqual(replica.time_ms("ttft_p95", 1), replica.time_ms("ttft", 1))
        short = at("llama-3.1-70b", "dgx200", 8, 1, 1, 10**5)
        self.assertGreater(short.queue_sessions, 1000)

    def test_fila_da_mistura(self):
        """Comprimentos diferentes alongam a espera por E[S²] / E[S]²; iguais, não"""
        def spread(context=0, **changes):
            question = asking("llama-3.1-8b", "dgx200", 1, context, output_tokens=512, **changes)
            return Replica(question, sizing.layout_of(
                question, sizing.replica_of(question, 8, 1, 1, 1)))

        def mix(*parts):
            return tuple((tokens, Fraction(percent, 100)) for tokens, percent in parts)

        mixed = spread(context_mix=mix((4096, 80), (65536, 20)))
        each = [spread(tokens).prefill_seconds for tokens in (4096, 65536)]
        square = 0.8 * each[0]**2 + 0.2 * each[1]**2
        self.assertAlmostEqual(mixed.prefill_spread / (
            square / (0.8 * each[0] + 0.2 * each[1])**2), 1, 9)
        self.assertGreater(mixed.prefill_spread, 2)
        alike = spread(context_mix=mix((8192, 50), (8193, 50)))
        self.assertAlmostEqual(alike.prefill_spread, 1, 6)
        self.assertEqual(spread(8192).prefill_spread, 1)
        speed = mixed.speed
        sessions = max(2, speed.queue_sessions)
        plain = dataclasses.replace(speed, prefill_spread=1.0)
        self.assertAlmostEqual(speed.wait_ms(sessions, "ttft_p95") / plain.wait_ms(
            sessions, "ttft_p95"), speed.prefill_spread, 9)

    SLOWER = ({"kv_precision": "fp16"}, {"server": {"hbm_bandwidth_tbps": 2}},
              {"server": {"tflops_bf16": 2, "tflops_fp8": 2, "tflops_fp4": 2}})

    def test_mais_lento_nunca_cumpre_mais(self):
        """Em todo modelo e servidor, KV de 16 bits, meia banda ou meio pico nunca dão menos TTFT"""
        kept = 0
        for model, server in itertools.product(entries_of("models"), entries_of("servers")):
            question = asking(model, server, 1, min(32768, model.max_position_embeddings))
            if sizing.missing_for_ceiling(question) or sizing.missing_for_speed(question):
                continue
            replica = sizing.replica_of(question, server.gpus, 1, 1, 1)
            fast = sizing.speed_of(question, replica, 0)
            for changes in self.SLOWER:
                halves = changes.get("server", {})
                other = changed(question, **dict(changes, server=changed(server, **{
                    field: getattr(server, field) and getattr(server, field) / Fraction(ratio)
                    for field, ratio in halves.items()})))
                if "kv_precision" in changes and model.compressed:
                    continue
                slow = sizing.speed_of(other, replica, 0)
                for sessions in (1, 7, 60, 700):
                    for name in ("ttft", "ttft_p95"):
                        times = [speed.time_ms(name, sessions) for speed in (fast, slow)]
                        self.assertLessEqual(times[0], times[1] * (1 + 1e-9),
                                             (model.name, server.name, changes, sessions))
                        kept += times[0] < math.inf
        self.assertGreater(kept, 5000)

    def test_mais_lento_nunca_compra_menos(self):
        """Nada mais lento, menor, longo ou justo compra menos nós, com objetivos ou sem eles"""
        generator, compared, wide = random.Random(16), collections.Counter(), 0
        servers = [item for item in entries_of("servers") if item.hbm_bandwidth_tbps]
        for model in entries_of("models"):
            question = goals_at_random(generator, model, generator.choice(servers))
            before = None if sizing.missing_for_speed(question) else answer_to(question)
            if before is None:
                continue
            wide += before.unit > 1
            moves = harder_than(question, generator)
            for name in generator.sample(sorted(moves), 4):
                harder = changed(question, **moves[name])
                with self.subTest(name, asked=shown_fields(question), to=shown_fields(harder)):
                    self.assertGreaterEqual(nodes_for(harder), before.nodes_final)
                compared[name] += 1
        self.assertGreater(sum(compared.values()), 300)
        self.assertGreater(min(compared.values()), 5, compared)
        self.assertGreater(wide, 10)

    def test_leiaute_livre_e_recursos(self):
        """Meia banda, KV de 16 bits, mais um token ou um tp pedido: nunca menos nós, caso a caso"""
        for name in ("dgx-h100", "dgx200"):
            server = in_catalogue("servers", name)
            half = changed(server, hbm_bandwidth_tbps=server.hbm_bandwidth_tbps / 2)
            whole, slow, wide, both = (nodes_for(asking(
                "opt-oss-20b", where, 1000, 32768, kv_precision=kv, max_ttft_ms=1000.0))
                for kv in ("fp8", "fp16") for where in (server, half))
            self.assertLessEqual(whole, min(slow, wide))
            self.assertLessEqual(max(slow, wide), both)
            self.assertLess(both, math.inf)
        # a página a mais de um contexto nunca faz a réplica de vários nós comprar menos
        kimi = [nodes_for(asking("kimi-k2.5", "h100-nvl-8x", 1000, context))
                for context in (164704, 164705, 166000)]
        self.assertEqual(kimi, sorted(kimi))
        self.assertLess(kimi[-1], 2 * kimi[0])
        # Entre GPUs sem NVLink, o tp menor cumpre o que o maior não cumpre, 10 nós, não 12; e o que
        # repete menos as duas cabeças de KV, sem repetir os pesos, guarda mais: 6, e não 12.
        for question, bought in (
                (asking("glm-5.3", "l40s-8x", 1, 32768, input_tokens=8193, max_ttft_ms=10000.0,
                        ha_mode="n+1"), 10),
                (asking("nvidia-nemotron-3-ultra-550b-a55b-bf16", "dgx200", 1000, 131072), 6)):
            ways = [nodes_for(changed(question, tensor_parallel=tp)) for tp in (2, 4, 8)]
            self.assertEqual((nodes_for(question), min(ways)), (bought, bought))
            self.assertLess(ways[1], ways[2])

    def test_atencao_esparsa_e_linear(self):
        """DSA, DeepSeek V4 e estados lineares: FLOPs do prefill e leituras do decode, à mão"""
        every = 5000**2 / 2 + 5000 * 100000
        self.assertEqual(attention_flops("deepseek-v3.2", 5000, 100000),
                         61 * 2 * 128 * (2 * 512 + 64) * 5000 * 2048)
        self.assertEqual(indexer_flops("deepseek-v3.2", 5000, 100000), 61 * 64 * 128 * every)
        # a MiniMax M3 escolhe 2048 tokens em 57 das 60 camadas
        self.assertEqual(attention_flops("minimax-m3", 5000, 100000), 4 * 64 * 128 * (
            57 * 5000 * 2048 + 3 * every))
        # 30 camadas a cada 4 tokens, com até 1024 escolhidos; 31 a cada 128, todos
        self.assertEqual(attention_flops("deepseek-v4", 5000, 100000), (
            61 * 2 * 128 * 1024 * 5000 * 128 + 30 * 2 * 128 * 1024 * 5000 * 1024
            + 31 * 2 * 128 * 1024 * every / 128))
        self.assertEqual(indexer_flops("deepseek-v4", 5000, 100000), 30 * 64 * 128 * every / 4)
        self.assertEqual(in_catalogue("models", "deepseek-v4").indexer_layers, 30)
        states = next(group for group in self.sized(model="qwen3-next")["model"]["kv_groups"]
                      if group["kind"] == "linear")
        full = 12 * 2 * 16 * 512 * 1000**2 / 2
        self.assertEqual(attention_flops("qwen3-next", 1000, 0),
                         full + 36 * 2 * states["fixed_bytes"] * 1000)
        band, index_band, peak = 0.71 * 4.8e12, 0.16 * 4.8e12, 0.78 * 989e12
        mean = 104000 + 500
        sparse = at("deepseek-v3.2", "dgx200", 8, 1, 104000, 1000).each_seconds("kv")
        self.assertAlmostEqual(sparse, 61 * (2048 * 576 / band + mean * 132 / index_band)
                               + 61 * 2 * 128 * 1088 * 2048 / 8 / peak)
        four = at("deepseek-v4", "dgx200", 8, 1, 104000, 1000).each_seconds("kv")
        read = 61 * 128 * 512 + 30 * 1024 * 512 + 31 * (mean // 128) * 512
        keys = 30 * (mean // 4) * 132 / index_band
        self.assertAlmostEqual(four, read / band + keys + 2 * 128 * 1024 * (
            30 * 1024 + 31 * mean / 128) / 8 / peak)

    def test_p95(self):
        """O objetivo do P95: limita, recusa com um valor que serve, e está em toda saída"""
        asked = dict(BASE, model="llama-3.1-70b", server="dgx200", concurrency=100,
                     effective_context=32768)
        free = self.sized(**asked)
        figures = [free["performance"][name]["estimate"] for name in ("ttft_ms", "ttft_p95_ms")]
        self.assertLess(*figures)
        limit = "%.9g" % (0.9 * figures[1])
        tight = self.sized(**dict(asked, max_ttft_p95_ms=limit))
        self.assertEqual(tight["results"]["limited_by"], "ttft_p95")
        self.assertGreater(tight["results"]["nodes_final"], free["results"]["nodes_final"])
        self.assertEqual(tight["parameters"]["max_ttft_p95_ms"], float(limit))
        judged = [item for item in tight["objectives"] if item["name"] == "ttft_p95_ms"]
        self.assertEqual([item["state"] for item in judged][:2], ["nominal", "peak"])
        self.assertNotIn("missed", [item["verdict"] for item in judged][:2])
        loose = self.sized(**dict(asked, max_ttft_ms=limit))["results"]["nodes_final"]
        self.assertLessEqual(loose, tight["results"]["nodes_final"])  # o P95 é o mais apertado
        sure = self.sized(**dict(asked, max_ttft_p95_ms=8000, confidence="90%"))["results"]
        self.assertGreaterEqual(sure["nodes_final"], self.sized(
            **dict(asked, max_ttft_p95_ms=8000))["results"]["nodes_final"])
        text = self.ok(*flags(dict(asked, max_ttft_p95_ms=limit)))
        self.assertIn("1º token P95 ≤ ", text)
        self.assertIn("limite: P95 do TTFT de ", text)
        for flag in ("max_ttft_ms", "max_ttft_p95_ms"):
            words = self.refused(flags(dict(asked, **{flag: 10})), "fora do alcance", status=3)
            best = re.search(r"o melhor é ([0-9.]+) ms", words)[1]
            self.assertEqual(self.sized(**dict(asked, **{flag: best}))["question"], "nodes")
            least = "%.3g" % (float(best) * 0.99)
            self.refused(flags(dict(asked, **{flag: least})), "fora do alcance", status=3)
        table = self.ok(*flags(dict(asked, server="dgx200,dgx300", max_ttft_p95_ms=4000)))
        self.assertIn("| P95 ms |", re.sub(" +", " ", table))
        self.assertEqual(  # o CSV não tem o P95
            (sizing.dropped_text(["U", "P95 ms", "custo"]), sizing.dropped_text(["P95 ms"])),
            ("Não couberam: U, custo (em --csv); P95 ms (em --json).",
             "Não couberam: P95 ms (em --json)."))
        self.refused([*flags(BASE), "--p95", "9"], "'--max-ttft-p95-ms'")
        self.refused([*flags(BASE), "--max-ttft-p95-ms", "-1"], "--max-ttft-p95-ms")

    def test_fim_da_fila(self):
        """Onde a fila não se prevê, o aviso diz até que carga se prevê e o que fazer"""
        document = self.sized()
        case = document["performance"]
        self.assertEqual((case["ttft_ms"], case["ttft_p95_ms"]), (None, None))
        last = case["queue_sessions_per_replica"]
        self.assertLess(last, case["sessions_per_replica"])
        warning = next(text for text in document["warnings"] if text.startswith("heavy_prefill"))
        self.assertIn("a fila não se prevê acima de %d sessões por réplica: " % last, warning)
        self.assertIn("--input-tokens", warning)
        page = " ".join(json.loads(self.ok(*flags(BASE), "--explain", "--json"))["explanation"][
            "plain"])
        self.assertIn("1º token previsto só até %d sessões." % last, page)
        for sessions, predicted in ((last, True), (last + 1, False)):
            fixed = self.sized(concurrency=sessions, nodes=1, tensor_parallel=8)["performance"]
            self.assertEqual((fixed["ttft_ms"] is not None, fixed["queue_utilization"] <= 0.9),
                             (predicted, predicted))

    def test_limites_exatos(self):
        """No objetivo exato passa; a ponta única com 1024; a calibração e as sessões"""
        speed, base = at("llama-3.1-8b", "dgx-h100"), {
            "model": "llama-3.1-8b", "server": "dgx-h100", "effective_context": 2000,
            "tensor_parallel": 1, "output_tokens": 1000}
        # oito réplicas com cinco sessões cada uma, exatamente no objetivo
        for limit, changes in (
                ("tpot", {"max_tpot_ms": repr(speed.tpot_ms(5)), "input_tokens": 1000}),
                ("ttft", {"max_ttft_ms": repr(speed.ttft_ms(5))})):
            results = self.sized(**base, **changes)["results"]
            self.assertEqual((results["sessions_per_unit"], results["limited_by"]), (40, limit))
        for context, inputs in ((2048, [1024]), (2049, [1025, 1024]), (1, [0]), (2, [1])):
            cases = self.sized(model="llama-3.1-8b", server="dgx-h100", effective_context=context,
                               nodes=1, concurrency=1)["performance"]["cases"]
            self.assertEqual([case["input_tokens"] for case in cases], inputs)
        plain = self.sized(nodes=1, concurrency=100)["performance"]["tpot_ms"]["estimate"]
        for ratio, far in ((1.9, False), (2.1, True), (0.52, False), (0.48, True)):
            codes = self.codes(self.sized(nodes=1, concurrency=100, calibrate_tpot_ms="%.6f@100"
                                          % (plain * ratio)))
            self.assertEqual("far_calibration" in codes, far, ratio)
        most = self.sized()["engine"]["sessions_per_replica"]
        one = self.sized(calibrate_tpot_ms="40@%d" % most)["engine"]["layouts"]
        self.assertEqual([layout["layout"] for layout in one], ["tp 8"])
        self.refused(flags(dict(BASE, calibrate_tpot_ms="40@%d" % (most + 1))),
                     "até %d sessões" % most)
        for point in ("0.01@1", "400@1"):  # o previsto é 3.11
            self.refused(flags(dict(BASE, calibrate_tpot_ms=point)), "o previsto é 2.64 ms (tp 8)")
        self.assertIsNone(self.sized(nodes=20, max_tpot_ms=50)["performance"]["nodes_other_end"])
        self.refused(flags(dict(BASE, model="kimi-k2", server="dgx-h100", nodes=7)),
                     "7 nós de dgx-h100 admitem 336 sessões de 131072 tokens (336 por 6 nós",
                     status=3)

    def test_replicas_e_motores(self):
        """Vazão de todas as réplicas do nó; NVLink dentro do domínio"""
        document = self.sized(model="opt-oss-20b", server="dgx200", concurrency=500,
                              effective_context=8192, tensor_parallel=2)
        sessions = document["results"]["sessions_per_unit"]
        fullest = -(-sessions // 4)
        rate = document["performance"]["saturated_output_tokens_per_second_per_node"]
        replica = at("opt-oss-20b", "dgx200", 2, 1, 7168, 1024)
        self.assertAlmostEqual(rate / (replica.saturated_tokens_per_second(fullest)
                                       * sessions / fullest), 1)
        self.assertEqual(sessions % 4, 2)
        self.assertEqual(document["performance"]["sessions_per_replica"], 125)
        inside = {"effective_context": "8k", "server": "dgx-h100", "tensor_parallel": 2}
        self.assertEqual(self.sized(**inside)["performance"]["extrapolated"], [])
        alone = [warning for warning in self.sized(nodes=1, concurrency=5)["warnings"]
                 if warning.startswith("single_node")]
        self.assertNotIn("--ha", alone[0])

    def test_falhas_com_taxa(self):
        """Com pedidos por segundo a falha diz se a taxa ainda é sustentada"""
        question = {"model": "opt-oss-120b", "server": "dgx300", "effective_context": "128k"}
        for rate, ha, words in ((3, "none", "a taxa pede 2 nós"), (5, "n+1", "pico coberto"),
                                (8, "none", "taxa nominal coberta, o pico não")):
            text = self.ok(*flags(dict(question, requests_per_second=rate, ha=ha)))
            self.assertIn(words, " ".join(text.split()), rate)

    def test_um_gpu_sem_enlace(self):
        """Uma GPU só não precisa de enlace; várias sem NVLink precisam da banda do PCIe"""
        document = catalogue("servers")
        entry = next(item for item in document["servers"] if item["name"] == "l40s-8x")
        del entry["pcie_bandwidth_gbps"]
        entry.update(gpus=1, total_hbm_gb=48)
        base = {"model": "qwen3-8b", "server": "l40s-8x", "concurrency": 3,
                "effective_context": 4096}
        with temporary_file(document) as path:
            self.assertIsNotNone(self.sized(**base, servers_file=path)["performance"])
        entry.update(gpus=8, total_hbm_gb=384)
        with temporary_file(document) as path:
            self.assertIn("no_speed: não há velocidade prevista: falta no catálogo "
                          "pcie_bandwidth_gbps", self.sized(**base, servers_file=path)["warnings"])

    def test_mutantes(self):
        """Casos que só um detalhe do código separa do errado"""
        self.refused(["--model=opt-oss-20b", "--server=dgx-spark", "--requests-per-second=1"],
                     "--requests-per-second", "tflops_bf16")
        document = catalogue("models")
        del document["models"][0]["vocab_size"]
        with temporary_file(document) as path:
            self.refused(flags(dict(BASE, max_tpot_ms=50, models_file=path)), "vocab_size")
        rate = {"model": "opt-oss-120b", "server": "dgx300", "requests_per_second": 15,
                "input_tokens": 1024}
        peaks = [json.loads(self.ok(*flags(dict(rate, ha=ha)), "--json"))["results"]
                 ["peak_sessions"] for ha in ("none", "n+1")]
        self.assertEqual(*peaks)
        spare = json.loads(self.ok(*flags(dict(rate, ha="n+2")), "--json"))
        self.assertEqual(spare["parameters"]["concurrency"], spare["performance"]["sessions"])
        questions = {"spare": {"nodes": 3}, "ttft": {"max_ttft_ms": 2000}, "ways": {
            "model": "qwen3-30b-a3b", "server": "gb300-nvl72", "effective_context": 2048,
            "concurrency": 30}}
        text = {name: " ".join(self.ok(*flags(dict(BASE, **changes))).split())
                for name, changes in questions.items()}
        self.assertIn("839 vagas livres", text["spare"])
        self.assertIn("limite: TTFT de 2000 ms", text["ttft"])
        ways = self.sized("--explain", **questions["ways"])["explanation"]["layouts"]
        self.assertEqual({row["layout"] for row in ways},  # os divisores das 32 cabeças
                         {"tp %d" % 2**n for n in range(6)})
        self.assertNotIn("--effective-context", self.refused(
            # oito nós somam 0.65 sessão: caberia um contexto menor que o pedido
            flags(dict(BASE, kv_budget_ratio="0.05601", input_tokens=100000)), status=3))
        self.refused(flags(dict(BASE, model="glm-5", server="h200-nvl-8x", effective_context=2048,
                                weights_precision="fp8", max_ttft_ms=1, pipeline_parallel=1,
                                tensor_parallel=8)), "(tp 8)", status=3)
        self.assertEqual(self.sized(effective_context="8k", weights_precision="int8")
                         ["performance"]["extrapolated"], ["pesos int8"])
        self.refused(flags(dict(BASE, input_tokens=131072)), "--input-tokens '131072'")
        measured = dict(BASE, model="llama-3.1-8b", server="dgx200", concurrency=10,
                        effective_context=32768, max_tpot_ms=50, calibrate_tpot_ms="100@1")
        self.assertNotIn("servidor do catálogo", self.refused(
            flags(measured), "o melhor é 100 ms (tp 1)", status=3))
        long = self.ok(*flags(dict(BASE, model="deepseek-r1", server="gb200-nvl72",
                                   concurrency=10**5, effective_context=163840, output_tokens=100,
                                   max_tpot_ms=50)))
        self.screen(long, 26)

    def test_empate_e_limite(self):
        """No empate entre plano e teto o limite é o plano; o que falha acima da carga tem nome"""
        base = {"model": "opt-oss-20b", "server": "dgx200", "concurrency": 10,
                "effective_context": 8192, "tensor_parallel": 8, "kv_precision": "fp8"}
        document = self.sized(**base)
        ceiling, kv = document["engine"]["sessions_per_node"], document["results"][
            "kv_per_session_bytes"]
        for beyond, limit in ((-1, "plan"), (0, "plan"), (1, "engine_memory")):
            # a reserva que deixa no orçamento essas sessões e meia
            reserve = (1128 * 10**9 - (ceiling + beyond) * kv - kv // 2) / Fraction(2**30)
            results = self.sized(**base, kv_budget_ratio=1, runtime_overhead_gib="%.9f"
                                 % reserve)["results"]
            self.assertEqual((results["sessions_per_unit"], results["limited_by"]),
                             (ceiling + min(beyond, 0), limit))
        # 8 e 9 sessões: a nona passa do TTFT, a décima também do TPOT
        speed = at("llama-3.1-8b", "dgx-h100")
        results = self.sized(
            model="llama-3.1-8b", server="dgx-h100", input_tokens=1000, output_tokens=1000,
            effective_context=2000, tensor_parallel=1, max_tpot_ms=repr(speed.tpot_ms(9)),
            max_ttft_ms=repr(speed.ttft_ms(8)))["results"]
        self.assertEqual((results["sessions_per_unit"], results["limited_by"]), (64, "ttft"))

    def test_mais_recursos_nunca_atrapalham(self):
        """Pedidos por segundo: as sobras da divisão por réplicas e a calibração não compram nós"""
        rate = {"model": "qwen3-8b", "server": "h100-nvl-8x", "requests_per_second": 2}

        def nodes(**question):
            return json.loads(self.ok(*flags(question), "--json"))["results"]["nodes_final"]

        self.assertEqual(nodes(**rate), 1)
        self.assertEqual(nodes(**rate, max_tpot_ms=50), 1)
        point = {"model": "llama-3.1-70b", "server": "dgx-h100", "effective_context": 32768,
                 "requests_per_second": 3, "calibrate_tpot_ms": "32.1@16"}
        self.assertEqual(nodes(**point, peak_headroom_ratio=0), 3)
        self.assertEqual(nodes(**point, nodes=3), 3)
        self.refused(flags(dict(point, nodes=2)), "esta carga pede 3 nós", status=3)
        generator = random.Random(3)
        for _ in range(rounds(120, 60)):
            question = asking(
                generator.choice(entries_of("models")), generator.choice(entries_of("servers")), 0,
                generator.choice((2048, 16384)), output_tokens=generator.choice((16, 512)),
                requests_per_second=Fraction(generator.randint(1, 2000), 20),
                calibration=generator.choice((None, (generator.uniform(5, 200), 1))))
            try:
                result = answer(question)
            except SizingError:
                continue
            replica = replica_of(result)
            best = max(n / replica.planned_latency_seconds(-(-n // replica.per_unit))
                       for n in range(1, min(result.sessions, 2000) + 1))
            served = result.nodes_with_headroom // result.unit * best * (1 + 1e-9)
            if result.sessions <= 2000:
                self.assertGreaterEqual(served, question.requests_per_second * Fraction(6, 5))
                self.assertLess(served - best, question.requests_per_second * Fraction(6, 5))

    def test_precisao_das_camadas_densas(self):
        """int8 e int4 calculam em 16 bits também as densas de um MoE; as outras, os bytes dizem"""
        def compute(precision):
            return at("qwen3-235b", "dgx200", 8, weights_precision=precision).each_seconds(
                "weights")

        self.assertAlmostEqual(compute("int8"), compute("bf16"))
        self.assertLess(compute("fp8"), 0.6 * compute("bf16"))
        moe, dense = asking("qwen3-30b-a3b-nvfp4", "dgx300"), asking("llama-3.1-8b", "dgx300")
        for question, linear_bytes, expected in (
                (moe, 749, "nvfp4"), (moe, 750, "fp8"), (moe, 1499, "fp8"), (moe, 1500, "bf16"),
                (changed(moe, weights_precision="int8"), 2000, "int8"),
                (changed(moe, weights_precision="int4"), 2000, "int4"), (dense, 500, "bf16")):
            self.assertEqual(sizing.dense_precision(question, 1000, linear_bytes), expected)

    def test_catalogo_contraditorio(self):
        """Campos da velocidade que se contradizem: status 2, com o campo"""
        rows = (("llama-3.1-8b-instruct", {"experts_per_token": 8}, "num_experts"),
                ("opt-oss-120b", {"params_embedding": 3 * 10**9}, "params_embedding"),
                ("opt-oss-120b", {"moe_layers": 37}, "moe_layers"))
        for name, changes, field in rows:
            document = catalogue("models")
            entry = listed("models", name, document)
            entry.update(changes)
            with self.subTest(field), temporary_file(document) as path:
                self.refused([*flags(BASE), "--models-file", path], field,
                             "models[%d]" % document["models"].index(entry))

    def test_redacao(self):
        """Singular e plural, a fila que impede o TTFT e o objetivo com todos os algarismos"""
        rate = {"model": "opt-oss-20b", "server": "dgx200", "effective_context": 8192}
        for value, words in ((1, " · 1 pedido/s ("), ("2.5", " · 2.5 pedidos/s ("),
                             ("1e-9", "0.000000001 pedidos/s (1 sessão)")):
            self.assertIn(words, self.ok(*flags(dict(rate, requests_per_second=value))))
        queue = dict(BASE, model="llama-3.1-8b", server="dgx200", concurrency=1848,
                     effective_context=8192, output_tokens=64, max_ttft_ms=5000)
        self.assertIn("limite: TTFT de 5000 ms", self.ok(*flags(queue)))
        self.refused(flags(dict(BASE, model="llama-3.1-8b", server="dgx200", max_tpot_ms="2.7150")),
                     "TPOT de 2.715 ms fora do alcance: o melhor é 2.72 ms", status=3)
        slow = self.ok(*flags(dict(BASE, model="command-a", output_tokens=100)))
        self.assertIn(" 0.10 (0.08-0.11) ", slow)
        self.assertLessEqual(max(map(len, slow.splitlines())), 80)
        many = self.ok(*flags(dict(BASE, concurrency=10**7)))
        self.screen(many, 25)
        self.assertRegex(many, r"\nPrevisto +19576 nós +19576 nós +19575 nós\n"
                         r" +10000000 +pico 12000000 +10000000\ntokens/s, novo ")
        self.assertRegex(self.ok(*flags(BASE)),
                         r"\nPrevisto +2 nós, 1000 +2 nós, pico 1200 +1 nó, 613/1000\n")

    def test_milhares(self):
        """De 999.5 em diante as previsões se escrevem em milhares, e de 999500, em milhões"""
        short = dict(BASE, nodes=1, concurrency=500, input_tokens=1024)
        long = {"model": "command-a", "server": "l40s-8x", "nodes": 1, "concurrency": 8,
                "effective_context": 262144, "output_tokens": 1}
        for question, point, words in (
                (short, "999.49@500", r" 999 \(860-1100\) "),
                (short, "999.5@500", r" 1k \(0\.86-1\.1\) "),
                (short, "1000@500", r" 1k \(0\.86-1\.1\) "),
                (long, "999490@8", r" 999k \(860-1100\) "),
                (long, "999500@8", r" 1M \(0\.86-1\.1\) "),
                (long, "1e6@8", r" 1M \(0\.86-1\.1\) ")):
            text = self.ok(*flags(dict(question, calibrate_tpot_ms=point, max_tpot_ms=1e9)))
            self.assertRegex(text, r"\nTPOT ≤ 1000000000 ms +" + words.strip() + " ok\n")

    def test_ponta_no_limite(self):
        """A ponta da faixa que se arredonda ao limite mostra mais um algarismo"""
        base = dict(BASE, nodes=1, concurrency=500, input_tokens=1024, tensor_parallel=8)

        def cell(ms, **limit):
            """(os números da célula da meta, o veredito)."""
            text = self.ok(*flags(dict(base, calibrate_tpot_ms="%.9f@500" % ms, **limit)))
            return re.findall(r"(?m)^(?:TPOT ≤ |≥ |1º token ≤ )[\d.]+ \S+ +"
                              r"[\d.]+ \(([\d.]+)-([\d.]+)\) (\S+)$", text)[0]

        found = self.sized(**{**base, "effective_context": 131072, "calibrate_tpot_ms": "40@500"})
        tpot = found["performance"]["tpot_ms"]
        low, high = (tpot[edge] / tpot["estimate"] for edge in ("low", "high"))
        for edge, shown, verdict in ((50.3, "50.3", "RISCO"), (49.8, "49.8", "ok"),
                                     (50.7, "51", "RISCO"), (49.3, "49", "ok")):
            seen = cell(edge / high, max_tpot_ms=50)
            self.assertEqual(seen[1:], (shown, verdict))
            digits = "%.3g" if len(shown) > 2 else "%.2g"  # as duas pontas, com os mesmos
            self.assertEqual(float(seen[0]), float(digits % (edge / high * low)))
        # 50 ms são 20 tokens/s, e a ponta ruim é a de baixo
        for edge, shown, verdict in ((19.8, "19.8", "RISCO"), (20.2, "20.2", "ok"),
                                     (19.4, "19", "RISCO"), (20.6, "21", "ok")):
            seen = cell(1000 / edge / high, min_tokens_per_second=20)
            self.assertEqual((seen[0], seen[2]), (shown, verdict))
        # abaixo de um segundo, duas decimais e, no limite, as que o distinguem
        first = found["performance"]["ttft_ms"]["high"]
        self.assertLess(first, 1000)
        for limit in (round(first, -1), round(first, -1) + 20, round(first), round(first, 4)):
            decimals = next(n for n in range(2, 9)
                            if "%.*f" % (n, first / 1000) != "%.*f" % (n, limit / 1000))
            self.assertEqual(cell(40, max_ttft_ms=limit)[1:], (
                "%.*f" % (decimals, first / 1000), "ok" if first <= limit else "RISCO"))

    def test_um_token(self):
        """Num contexto de um token a saída o ocupa; em dois, sobra um de entrada"""
        for context, output, entry, inputs in (
                (1, None, None, 0), (1, 1, None, 0), (1, 2, None, None), (2, None, None, 1),
                (2, 1, None, 1), (2, 1, 1, 1), (2, 2, None, None), (1, 1, 1, None),
                (2, 1, 2, None)):
            question = dict(BASE, concurrency=1, effective_context=context)
            question.update({} if output is None else {"output_tokens": output})
            question.update({} if entry is None else {"input_tokens": entry})
            with self.subTest(question):
                if inputs is None:
                    self.refused(flags(question), "--input-tokens" if entry else "--output-tokens",
                                 "não cabe no contexto de %d token" % context)
                    continue
                cases = json.loads(self.ok(*flags(dict(question, ha="n+1")), "--json"))[
                    "performance"]["cases"]
                self.assertEqual([(case["state"], case["input_tokens"], case["cached_tokens"])
                                  for case in cases], [
                    (state, inputs, 0) for state in STATES])

    def test_sessoes_de_uma_taxa(self):
        """Lei de Little, exata: em cada nó, taxa · latência com essa carga, para cima"""
        for rate, changes in ((5, {}), (40, {"effective_context": "8k"}),
                              (30, {"effective_context": "8k", "tensor_parallel": 2}),
                              (Fraction(1, 10), {"tensor_parallel": 4}),
                              (60, {"effective_context": "8k", "tensor_parallel": 1, "ha": "n+1"})):
            question = dict({"model": "opt-oss-120b", "server": "dgx300", "effective_context":
                             "128k", "requests_per_second": float(rate)}, **changes)
            document = json.loads(self.ok(*flags(question), "--json"))
            results, engine = document["results"], document["engine"]
            case, output = document["performance"]["cases"][0], 1024
            replica = at("opt-oss-120b", "dgx300", engine["tensor_parallel"], 1,
                         case["input_tokens"], output)
            replicas, spares = engine["replicas_per_node"], "ha" in changes
            for nodes, load, sessions in (
                    (results["nodes_final"], Fraction(rate), document["performance"]["sessions"]),
                    (results["nodes_final"] - spares, Fraction(rate) * 6 / 5,
                     results["peak_sessions"])):
                each = load / nodes
                fullest = next(n for n in itertools.count(1)
                               if n >= each / replicas * Fraction(replica.latency_seconds(n)))
                held = max(1, math.ceil(each * Fraction(replica.latency_seconds(fullest))))
                self.assertEqual(sessions, nodes * held, (question, fullest))
                self.assertLess(held, results["sessions_per_unit"])

    def test_calibracao_sem_carga(self):
        """Sem --concurrency, a calibração vale no leiaute da pergunta e escala a resposta"""
        base = {"model": "opt-oss-20b", "server": "dgx200", "effective_context": "128k"}
        for changes in ({}, {"nodes": 3, "ha": "n+1"}, {"requests_per_second": 1}):
            question = dict(base, **changes)
            plain = json.loads(self.ok(*flags(question), "--json"))
            fixed = json.loads(self.ok(*flags(question), "--calibrate-tpot-ms=400@50", "--json"))
            self.assertEqual(fixed["question"], plain["question"])
            self.assertEqual(fixed["engine"]["layout"], plain["engine"]["layout"])
            predicted = at("opt-oss-20b", "dgx200", plain["engine"]["tensor_parallel"], 1,
                           131072 - 1024, 1024).tpot_ms(50)
            self.assertAlmostEqual(fixed["parameters"]["tpot_scale"], 400 / predicted)
            if "requests_per_second" not in changes:
                self.assertEqual(fixed["results"]["max_concurrency"],
                                 plain["results"]["max_concurrency"])
                self.assertEqual(fixed["results"]["by_context"], [])  # vale num contexto só
                self.assertTrue(plain["results"]["by_context"])
                ratio = (fixed["performance"]["tpot_ms"]["estimate"]
                         / plain["performance"]["tpot_ms"]["estimate"])
                self.assertAlmostEqual(ratio, 400 / predicted, places=6)

    def test_recusa_calibrada(self):
        """Com um TPOT medido, a recusa não promete outro servidor, onde ele não foi medido"""
        question = dict(BASE, model="llama-3.1-405b", server="dgx200", max_tpot_ms=22)
        self.refused(flags(question), "cabe em: gb200-nvl72", status=3)
        line = self.refused([*flags(question), "--calibrate-tpot-ms=40@1"], "o melhor é 40 ms (",
                            status=3)
        self.assertNotRegex(line, "cabe em|cabe com|nenhum servidor")

    def test_imutaveis(self):
        """Pergunta, leiaute, velocidade, resultado e entradas de catálogo não se alteram"""
        result = answer(asking("opt-oss-20b", "dgx200", 10, 1000, max_tpot_ms=50))
        question, seen = result.question, {}
        waiting = [result.internal, question, question.model, question.server, question.storage]
        while waiting:  # tudo o que se alcança a partir do resultado
            record = waiting.pop()
            if isinstance(record, (list, tuple)):
                waiting += record
            if dataclasses.is_dataclass(record) and id(record) not in seen:
                seen[id(record)] = record
                waiting += vars(record).values()
        self.assertGreater(len(seen), 5)
        for record in seen.values():
            name = dataclasses.fields(record)[0].name
            with self.assertRaises(dataclasses.FrozenInstanceError):
                setattr(record, name, 1)
            with self.assertRaises(dataclasses.FrozenInstanceError):
                delattr(record, name)

    def test_rapidez(self):
        """Um dimensionamento com objetivos são umas 45 mil chamadas, nenhuma por sessão"""
        calls = []
        question = asking("opt-oss-120b", "dgx300", 1000, 131072, max_tpot_ms=50.0)
        previous = sys.getprofile()
        sys.setprofile(lambda frame, event, value: calls.append(event))
        try:
            answer(question)
        finally:
            sys.setprofile(previous)
        self.assertIn("call", calls)
        self.assertLess(len(calls), 46500)  # medidas: 45817; o tempo seria da máquina


# ── Decidir: comparações, pergunta invertida, cenários, explicação, storage e custo ───────────


def goals_at_random(generator, model, server):
    """Uma pergunta ao acaso em que o motor, o plano ou um objetivo decide os nós."""
    goals = {"max_ttft_ms": (300.0, 1000.0, 3000.0, 10000.0), "max_tpot_ms": (15.0, 30.0, 100.0),
             "max_ttft_p95_ms": (1000.0, 4000.0, 20000.0)}
    asked = {name: generator.choice(limits) for name, limits in goals.items()
             if generator.random() < 0.45}
    context = min(generator.choice((2048, 8192, 32768, 131072)), model.max_position_embeddings)
    if generator.random() < 0.3:
        asked["input_tokens"] = context // 4
    asked["ha_mode"] = generator.choice(("none", "none", "n+1"))
    load = generator.choice((1, 100, 10**4, 10**6))
    if generator.random() < 0.25:
        load, asked["requests_per_second"] = None, Fraction(load)
    return asking(model, server, load, context, **asked)


def harder_than(question, generator):
    """{nome: as mudanças que tornam a pergunta mais difícil, ou o servidor mais fraco}."""
    server, context = question.server, question.requested_context

    def weaker(ratio, *names):
        return {"server": changed(server, **{
            name: ratio * getattr(server, name) for name in names if getattr(server, name)})}

    half, less = Fraction(1, 2), Fraction(9, 10)
    memory = ("hbm_per_gpu_gb", "total_hbm_gb", "hbm_usable_gib_per_gpu")
    overhead = question.runtime_overhead_gib
    moves = {
        "banda": weaker(half, "hbm_bandwidth_tbps"),
        "cálculo": weaker(half, "tflops_bf16", "tflops_fp8", "tflops_fp4"),
        "enlaces": weaker(half, "nvlink_bandwidth_tbps", "pcie_bandwidth_gbps",
                          "network_gbps_per_gpu"),
        "memória": weaker(half, *memory),
        "utilização": {"gpu_memory_utilization": Fraction(generator.randint(80, 89), 100)},
        "orçamento": dict(weaker(less, *memory), runtime_overhead_gib=overhead + 9),
        "carga": {"concurrency": question.concurrency + generator.randint(
            1, question.concurrency)} if question.concurrency else {
                "requests_per_second": question.requests_per_second * Fraction(3, 2)},
        "reserva": {"ha_mode": "n+2", "peak_headroom_ratio": half},
        "confiança": {"confidence": sizing.CONFIDENT},
        "leiaute": {"tensor_parallel": generator.choice(tensor_parallel_ways(question))}}
    for name in ("max_ttft_ms", "max_tpot_ms", "max_ttft_p95_ms"):
        limit = getattr(question, name) or 9000.0
        moves[name] = {name: limit * generator.choice((0.99, 0.7, 0.4))}
    if not question.model.compressed:
        moves["KV"] = {"kv_precision": "fp16"}
    if context < question.model.max_position_embeddings:
        moves["contexto"] = {"context": min(question.model.max_position_embeddings,
                                            context + generator.choice((1, 1000, context)))}
    return moves


def shown_fields(question):
    """O que uma falha precisa dizer de uma pergunta."""
    return {field.name: str(getattr(value, "name", value)) for field in dataclasses.fields(question)
            for value in [getattr(question, field.name)] if value != field.default}


def forward_nodes(question, **changes):
    """Os nós da pergunta direta; infinitos se nada cabe."""
    return nodes_for(changed(question, nodes=None, **changes))


def numbers_in(value):
    """Todos os números de um documento JSON."""
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(item)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value


def written(value):
    """As formas em que um número pode aparecer numa frase."""
    return [str(value), *(number_text(value, digits) for digits in range(3, 10)),
            number_text(value / 1000), decimal_text(value * 100, 9), decimal_text(value, 2),
            decimal_text(value, 3), decimal_text(value / 1e9, 1), size_text(value).split()[0],
            seconds_text(value).split()[0]]


def any_question(generator):
    """Uma pergunta ao acaso, de todo tipo; None se as escolhas não combinam."""
    pick = generator.choice
    ways = {
        "kv_precision": ("fp8", "fp16"), "ha_mode": ("none", "n+1", "n+2"),
        "peak_headroom_ratio": (Fraction(0), Fraction("0.3335")),
        "kv_budget_ratio": (Fraction(1, 2), Fraction("0.712345")),
        "runtime_overhead_gib": (3, Fraction("120.7")), "weights_precision": ("fp8", "bf16"),
        "input_tokens": (1, 500, 2000), "cached_tokens": (0, 700, 4000), "output_tokens": (1, 400),
        "shared_prefix_tokens": (1, 600, 3000),
        "context_mix": (((2048, Fraction("0.667")), (9000, Fraction("0.333"))),
                        ((8192, Fraction(7, 10)), (32768, Fraction(1, 4)),
                         (65536, Fraction(1, 20)))),
        "max_tpot_ms": (20.0, 45.0), "min_tokens_per_second": (12.0, 30.0),
        "max_ttft_ms": (150.0, 400.0, 900.0), "max_ttft_p95_ms": (2000.0,),
        "confidence": (Fraction(9, 10),),
        "requests_per_second": (Fraction(3, 10), Fraction(30)), "calibration": ((30.0, 2),),
        "node_price": (400000,), "energy_price": (Fraction("0.37"),), "years": (Fraction(5, 2),)}
    asked = {name: pick(ways[name])
             for name in generator.sample(sorted(ways), generator.randint(0, 6))}
    if "context_mix" in asked:
        asked.pop("cached_tokens", None)
        asked.pop("calibration", None)
    if not {"node_price", "energy_price"} & asked.keys():
        asked.pop("years", None)
    elif "energy_price" in asked:
        asked.setdefault("years", Fraction(5, 2))
    if {"max_tpot_ms", "min_tokens_per_second", "max_ttft_ms", "max_ttft_p95_ms",
            "requests_per_second"}.isdisjoint(asked):
        asked.pop("confidence", None)
    asks = pick(("nodes", "nodes", "nodes", "sessions", "sessions", "load", "load", "context"))
    context = concurrency = 0
    if "context_mix" not in asked and asks != "context":
        context = pick((0, 1, 777, 8192, 30000))
    if asks == "sessions":
        asked.pop("requests_per_second", None)
    elif "requests_per_second" not in asked:
        concurrency = pick((1, 17, 1000, 123457))
    if asks != "nodes":
        asked["nodes"] = pick((1, 2, 9, 1000))
    asked["storage"] = in_catalogue("storage", pick(FUZZ_STORAGE))
    server = pick(sorted(set(",".join(FUZZ_SERVERS).split(","))))
    question = changed(asking(pick(("opt-oss-120b", "kimi-k2", "deepseek-v3.2", "llama-3.1-8b",
                                    "llama-3.1-405b", "gemma-3-27b", "qwen3-next-80b")), server,
                              concurrency, context), **asked)
    return question if question.request_fits or question.asks == "context" else None


class Printed:
    """Um número impresso com 9 algarismos: o menor e o maior dos que se imprimem assim."""

    def __init__(self, low, high=None):
        self.low, self.high = low, low if high is None else high

    @classmethod
    def read(cls, text):
        """O que este texto pode ser; um inteiro de menos de 9 algarismos é ele mesmo."""
        value = float(text)
        half = 10.0**(math.floor(math.log10(value)) - 8) / 2 if value else 0
        return cls(value) if text.isdigit() and len(text) < 9 else cls(value - half, value + half)

    def applied(self, compute, *others):
        """As contas monótonas têm os extremos nos extremos; e o erro do ponto flutuante."""
        ends = [compute(*values) for values in itertools.product(
            *((item.low, item.high) for item in (self, *others)))]
        return Printed(min(ends) - abs(min(ends)) * 1e-13, max(ends) + abs(max(ends)) * 1e-13)

    def __add__(self, other):
        return self.applied(operator.add, other)

    def __sub__(self, other):
        return self.applied(operator.sub, other)

    def __mul__(self, other):
        return self.applied(operator.mul, other)

    def __truediv__(self, other):
        assert other.low * other.high > 0, "divisão por zero"
        return self.applied(operator.truediv, other)

    def __pow__(self, other):
        return self.applied(lambda base, power: max(base, 0)**power, other)


NUMBER = r"(?<![\w.])\d+(?:\.\d+)?(?:e[+-]?\d+)?"


def evaluated(text, exact):
    """O valor de uma conta de --explain: uma fração exata, ou tudo o que os números impressos dão.

    Não é a conta do módulo: só sabe as quatro operações, potências e as funções abaixo.
    """
    if exact:
        return eval(re.sub(NUMBER, r"Fraction('\g<0>')", text), {
            "__builtins__": {}, "Fraction": Fraction, "floor": math.floor, "ceil": math.ceil,
            "min": min, "max": max})
    calls = {call.__name__: lambda first, *others, call=call: first.applied(call, *others)
             for call in (math.floor, math.ceil, math.log, min, max)}
    return eval(re.sub(NUMBER, r"read('\g<0>')", text), {
        "__builtins__": {}, "read": Printed.read, **calls})


QUANTITY = r"[A-Za-z]\w+\b(?!\()"  # numa fórmula; antes de um parêntese há uma função
# As grandezas de cada grupo de camadas, que uma explicação diz uma vez por grupo.
OF_A_GROUP = {"group_layers", "held_tokens", "shared_tokens", "elements_per_token",
              "bytes_per_token", "fixed_bytes", "groups", "block_tokens", "cap_tokens",
              "element_bytes", "draft_tokens", "in_flight_tokens"}


def substituted(row):
    """[(nome, o texto que está no lugar dele na conta)] de uma fórmula; None se não é a mesma."""
    value = r"(\(-?\d+ / \d+\)|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
    pattern = value.join(map(re.escape, re.split(QUANTITY, row["formula"])))
    found = re.fullmatch(pattern, row["numbers"])
    return found and list(zip(re.findall(QUANTITY, row["formula"]), found.groups()))


def csv_expected(document, columns):
    """{coluna: texto} da linha de CSV de um documento JSON."""
    results, speed = document["results"] or {}, document.get("performance") or {}
    known = {"error": document.get("error"), "scenario": document.get("scenario")}
    known.update({kind: document[kind]["name"] for kind in ("model", "server", "storage")})
    if document["results"]:
        for block in (document["parameters"], results, document["ha_plan"], document["physical"],
                      document["storage_plan"], document.get("costs", {})):
            known.update(block)
        pools = document.get("disaggregated") or {}
        known.update(layout="prefill %s, decode %s" % tuple(
            pools[pool]["layout"] for pool in ("prefill", "decode")) if pools.get("taken")
            else document.get("engine", {}).get("layout"), **{
            name: speed.get(name) for name in columns if name.startswith("output_tokens_per")})
        for name in ("tpot_ms", "ttft_ms"):
            figure = speed.get(name) or {}
            known.update({name: figure.get("estimate"), name + "_high": figure.get("high")})
        promised = ("nominal", "failure", "failure_peak") if known["ha_mode"] != "none" else (
            "nominal", "peak")
        given = [item["verdict"] for item in document["objectives"] if item["state"] in promised]
        known["verdict"] = max(given, key=("met", "at_risk", "missed").index, default=None)
    else:
        known.update(document["parameters"])
    parameters = document["parameters"]
    known["question"] = document["question"]
    known["weights_precision"] = parameters["weights_precision"] or document["model"][
        "native_precision"]
    new = parameters["effective_context"] - parameters["output_tokens"]
    known["input_tokens"] = parameters["input_tokens"] or new
    texts = {}
    for name in columns:
        value = known.get(name)
        texts[name] = "" if value is None else json.dumps(value) if isinstance(
            value, (bool, float)) else str(value)
    return texts


def csv_rows(text):
    """As linhas de um CSV como dicionários."""
    return list(csv.DictReader(io.StringIO(text)))


def table_rows(text):
    """As linhas de uma tabela Markdown como dicionários."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({len(row) for row in cells}) == 1
    return [dict(zip(cells[0], row)) for row in cells[2:]]


class Comparacoes(Case):
    """Comparar: uma linha por combinação, igual à execução sozinha"""

    LISTS = {"model": "opt-oss-120b,llama-3.3-70b", "server": "dgx300,dgx-spark,dgx200",
             "concurrency": "10,1000", "effective_context": "32k,128k", "ha": "none,n+1"}

    def test_linhas_iguais(self):
        """Cada elemento do JSON é o documento da execução sozinha, na ordem pedida"""
        documents = json.loads(self.ok(*flags(self.LISTS), "--json"))
        names, values = list(self.LISTS), [text.split(",") for text in self.LISTS.values()]
        combinations = list(itertools.product(*values))
        self.assertEqual(len(documents), len(combinations))
        generator = random.Random(5)
        for index in generator.sample(range(len(combinations)), 12):
            single = run(*flags(dict(zip(names, combinations[index]))), "--json")
            document = documents[index]
            if single.returncode == 0:
                self.assertEqual(json.loads(single.stdout), document)
            else:
                self.assertEqual((single.returncode, document["results"]), (3, None))
                self.assertIn(document["error"], single.stderr)
        shown = [(d["model"]["name"], d["server"]["name"], d["parameters"]["requested_context"],
                  d["parameters"]["ha_mode"]) for d in documents]
        self.assertEqual(shown[:5], [
            ("opt-oss-120b", "dgx300", 32768, "none"), ("opt-oss-120b", "dgx300", 32768, "n+1"),
            ("opt-oss-120b", "dgx300", 131072, "none"), ("opt-oss-120b", "dgx300", 131072, "n+1"),
            ("opt-oss-120b", "dgx300", 32768, "none")])

    def test_csv_excel(self):
        """--csv-excel tem os valores de --csv, com `;`, vírgula decimal e a marca de UTF-8"""
        def read(text, excel):
            if excel:
                self.assertEqual(text[0], "\ufeff")
                text = text[1:]
            self.assertNotIn("\ufeff", text)
            return list(csv.reader(io.StringIO(text, newline=""), strict=True,
                                   delimiter=";" if excel else ","))

        document = catalogue("servers")
        for name, changed in (("dgx300", "-dgx"), ("dgx200", "+1-dgx"), ("dgx-spark", "-2.5")):
            document["servers"].append(dict(listed("servers", name), name=changed, aliases=[],
                                            product="=1+1"))
        seen = set()
        with temporary_file(json.dumps(document).encode()) as path:
            box = {"servers_file": path}
            for question in (
                    flags(BASE), flags(dict(BASE, server="dgx300,-dgx,+1-dgx,-2.5", **box)),
                    flags(dict(BASE, server="dgx300,dgx-spark,l40s-8x", model="kimi-k2,phi-4")),
                    flags(dict(BASE, server="dgx200,dgx300", node_price="0.3", ha="n+1",
                               sort="nodes", max_ttft_ms=9000, effective_context="8k")),
                    ["--scenarios", *flags(BASE)], ["--list=servers", "--servers-file=" + path],
                    ["--list=models"], ["--list=storage"], ["--version"]):
                plain = read(self.ok(*question, "--csv"), False)
                excel = read(self.ok(*question, "--csv-excel"), True)
                self.assertEqual(excel[0], plain[0])
                self.assertEqual(len(excel), len(plain))
                for row, expected in zip(excel[1:], plain[1:]):
                    for name, cell, value in zip(plain[0], row, expected):
                        if re.fullmatch(r"-?[0-9.]+(e-?[0-9]+)?", value) and name not in (
                                "name", "server", "version"):
                            seen.add("." in value)
                            self.assertEqual(cell, value.replace(".", ","), name)
                        elif value[:1] in tuple("=+-@"):
                            seen.add(value[:1])
                            self.assertEqual(cell, "'" + value)
                        else:
                            self.assertEqual(cell, value)
        self.assertEqual(seen, {True, False, "+", "-", "="})
        for other in ("--csv", "--json", "--explain"):
            self.refused([*flags(BASE), other, "--csv-excel"], other, "--csv-excel")
        self.refused(["--list=models", "--csv", "--csv-excel"], "--csv", "--csv-excel")
        environment = dict(os.environ, PYTHONIOENCODING="latin-1")
        raw = subprocess.run([sys.executable, SCRIPT, *flags(BASE), "--scenarios", "--csv-excel"],
                             capture_output=True, env=environment).stdout
        self.assertEqual(raw[:3], b"\xef\xbb\xbf")
        self.assertIn("mínimo", raw.decode("utf-8-sig"))
        self.assertEqual(raw.count(b"\r\n"), raw.count(b"\n"))
        self.assertNotIn(b"\r\r", raw)

    def test_replicas_de_cada_linha(self):
        """Pesos, tp e storage variam: cada linha é o documento da execução sozinha"""
        lists = {"server": "dgx-spark,dgx200", "weights_precision": "fp8,bf16",
                 "tensor_parallel": "auto,8,3", "concurrency": "10,3000",
                 "effective_context": "4k,64k", "storage": "profile_default,superpod_standard"}
        question = dict(model="llama-3.3-70b", kv_precision="fp8,fp16", **lists)
        documents = json.loads(self.ok(*flags(question), "--json"))
        names = ("server", "weights_precision", "tensor_parallel", "concurrency",
                 "effective_context", "kv_precision", "storage")
        combinations = list(itertools.product(*(question[name].split(",") for name in names)))
        self.assertEqual(len(documents), len(combinations))
        answered = 0
        for index in random.Random(7).sample(range(len(combinations)), 24):
            single = run(*flags(dict(zip(names, combinations[index]), model="llama-3.3-70b")),
                         "--json")
            answered += not single.returncode
            if single.returncode:
                self.assertIn(documents[index]["error"], single.stderr)
            else:
                self.assertEqual(json.loads(single.stdout), documents[index])
        self.assertGreater(answered, 5)
        for document, combination in zip(documents, combinations):  # o tp impossível é da linha
            refused = combination[2] == "3" or combination[:3:2] == ("dgx-spark", "8")
            self.assertEqual("--tensor-parallel" in document.get("error", ""), refused)
            self.assertEqual(document["storage"]["name"], combination[-1])

    def test_auto_entre_os_tp(self):
        """Sem dados para o teto, só o tp pedido é recusado; o `auto` da mesma lista responde"""
        document = catalogue("servers")
        del listed("servers", "dgx300", document)["hbm_usable_gib_per_gpu"]
        with temporary_file(json.dumps(document).encode()) as path:
            rows = json.loads(self.ok(*flags(dict(
                BASE, tensor_parallel="auto,8", servers_file=path)), "--json"))
        self.assertEqual(rows[0]["results"]["nodes_final"], 2)
        self.assertIn("--tensor-parallel: sem efeito", rows[1]["error"])

    def test_csv(self):
        """O CSV tem sempre as mesmas colunas, as do README, com os números do JSON"""
        rows = re.findall(r"^\| (`.*?`) \|.*\|$", text_of("README.md").split(
            "### As colunas de `--csv`")[1].split("\n## ")[0], re.M)
        documented = re.findall(r"`(\w+)`", ", ".join(rows))
        self.assertLessEqual(len(documented), 40)
        questions = (
            {}, {"max_ttft_ms": 1, "max_tpot_ms": 50, "effective_context": "8k"},
            {"effective_context": "128k,999k", "server": "dgx300,dgx-h100,dgx-spark",
             "model": "opt-oss-120b,kimi-k2", "node_price": "4e5", "energy_price": "0.12",
             "years": 3},
            {"disaggregated": "yes", "input_tokens": 1000, "effective_context": "8k"},
            {"server": "dgx200,dgx300", "storage": "profile_network_ssd", "ha": "n+1"})
        for extra in questions:
            question = flags(dict(BASE, **extra))
            text = run(*question, "--csv").stdout
            if extra.get("max_ttft_ms"):
                self.assertEqual(text, "")  # uma recusa só não tem linha
                continue
            documents = json.loads(self.ok(*question, "--json"))
            documents = documents if isinstance(documents, list) else [documents]
            rows = csv_rows(text)
            self.assertEqual(list(rows[0]), documented)
            self.assertEqual(len(rows), len(documents))
            for row, document in zip(rows, documents):
                self.assertEqual(row, csv_expected(document, documented))
        for form in (["--scenarios"], ["--requests-per-second=5"], ["--nodes=3"],
                     ["--nodes=3", "--concurrency=100"], ["--nodes=1", "--concurrency=1000"]):
            asked = ["--model=opt-oss-120b", "--server=dgx300", *form]
            rows, document = csv_rows(self.ok(*asked, "--csv")), json.loads(
                self.ok(*asked, "--json"))
            self.assertEqual(list(rows[0]), documented, form)
            first = document[0] if isinstance(document, list) else document
            expected = csv_expected(first, documented)
            if first["question"] == "context":  # que no CSV fica vazio: não se pediu um
                expected["requested_context"] = ""
            self.assertEqual(rows[0], expected, form)
        self.assertEqual(rows[0]["question"], "context")
        self.assertLess(int(rows[0]["max_context"]), 131072)
        raw = subprocess.run([sys.executable, SCRIPT, *flags(BASE), "--csv"], capture_output=True,
                             env=utf8_environment()).stdout
        self.assertEqual(raw.count(b"\r\n"), 2)
        self.assertEqual(raw.count(b"\n"), 2)
        self.assertEqual(csv_rows(self.ok("--list", "storage", "--csv"))[0]["scope"], "node")

    def test_motor_de_cada_linha(self):
        """Modelos e contextos que dividem um servidor: cada linha com o seu motor e os avisos"""
        question = {"model": "kimi-k2.5,opt-oss-120b", "server": "h100-nvl-8x",
                    "concurrency": 1000, "effective_context": "8k,128k"}
        documents = json.loads(self.ok(*flags(question), "--json"))
        self.assertEqual([document["model"]["name"] for document in documents],
                         ["kimi-k2.5", "kimi-k2.5", "opt-oss-120b", "opt-oss-120b"])
        pairs = itertools.product(*(question[name].split(",") for name in (
            "model", "effective_context")))
        for document, (model, context) in zip(documents, pairs):
            self.assertEqual(document, self.sized(
                model=model, server="h100-nvl-8x", effective_context=context))
        self.assertEqual(["replica_spans_nodes" in self.codes(document) for document in documents],
                         [True, True, False, False])

    def test_unidade_de_cada_carga(self):
        """A unidade que compra menos nós é a de cada carga, não a da primeira linha"""
        question = dict(BASE, model="kimi-k2", server="dgx-h100")
        documents = json.loads(self.ok(*flags(dict(question, concurrency="5,1000", ha="none,n+1")),
                                       "--json"))
        for document, (sessions, ha) in zip(documents, itertools.product(
                (5, 1000), ("none", "n+1"))):
            self.assertEqual(document, self.sized(**dict(question, concurrency=sessions, ha=ha)))
        self.assertGreater(len({document["results"]["nodes_per_unit"] for document in documents}),
                           1)

    def test_uma_lista_so(self):
        """Cada flag que se compara, sozinha, dá uma linha por valor"""
        for flag, values in self.LISTS.items():
            documents = json.loads(self.ok(*flags(dict(BASE, **{flag: values})), "--json"))
            self.assertEqual(len(documents), len(values.split(",")), flag)
        precisions = json.loads(self.ok(*flags(dict(BASE, kv_precision="fp8,fp16")), "--json"))
        self.assertEqual([document["parameters"]["kv_precision"] for document in precisions],
                         ["fp8", "fp16"])

    def test_ordem_no_json(self):
        """--sort ordena também o JSON e o CSV; sem ele, as recusas ficam onde estão"""
        servers = ["dgx-spark", "l40s-8x", "dgx300", "dgx200"]  # o primeiro é recusado
        question = flags(dict(BASE, server=",".join(servers), max_tpot_ms=1000))
        for sort, expected in (((), servers),
                               (["--sort=nodes"], ["dgx300", "dgx200", "l40s-8x", "dgx-spark"])):
            documents = json.loads(self.ok(*question, *sort, "--json"))
            self.assertEqual([document["server"]["name"] for document in documents], expected)
            self.assertEqual([document["server"]["name"] for document in documents
                              if document["results"] is None], ["dgx-spark"])
            self.assertEqual([row["server"] for row in csv_rows(
                self.ok(*question, *sort, "--csv"))], expected)
            nodes = [document["results"]["nodes_final"] for document in documents
                     if document["results"]]
            self.assertEqual(nodes == sorted(nodes), bool(sort))

    def test_tabela(self):
        """A tabela Markdown diz os números do JSON, marca a melhor e explica o que não cabe"""
        question = dict(BASE, server="dgx300,dgx200,dgx-spark,dgx-a100",
                        model="llama-3.3-70b", kv_precision="fp8,fp16", concurrency=50)
        text, documents = self.ok(*flags(question)), json.loads(self.ok(*flags(question), "--json"))
        rows = table_rows(text)
        self.assertEqual(list(rows[0]), ["", "servidor", "KV", "nós", "sessões/nó", "TPOT ms",
                                         "kW"])  # a coluna do que faz a melhor fica
        self.assertIn("\nNão couberam: U, limite (em --csv).\n", text)
        for row, document in zip(rows, documents):
            self.assertEqual(row["servidor"], document["server"]["product"])
            if document["results"] is None:
                self.assertEqual(row["nós"], "-")
                self.assertIn("- %s, KV %s: " % (row["servidor"], row["KV"]), text)
                continue
            self.assertEqual(int(row["nós"]), document["results"]["nodes_final"])
            self.assertEqual(int(row["sessões/nó"].split()[0]),
                             document["results"]["sessions_per_unit"])
            self.assertEqual(float(row["kW"]), document["physical"]["power_kw"])
            if document["performance"]:
                self.assertTrue(row["TPOT ms"].startswith(
                    "%.3g" % document["performance"]["tpot_ms"]["estimate"]), row)
        fitting = [row for row in rows if row["nós"] != "-"]
        best = [row for row in rows if row[""] == "*"]
        self.assertEqual(len(best), 1)
        self.assertEqual(best[0]["kW"], min((row["kW"] for row in fitting if row["TPOT ms"] != "-"),
                                            key=float))
        self.assertIn("llama-3.3-70b-instruct, pesos bf16, 50 sessões, 131072 tokens, HA none",
                      text)
        narrow = self.ok(*flags(dict(BASE, server="dgx300,dgx200")))  # aqui tudo cabe
        self.assertEqual([row["U"] for row in table_rows(narrow)], ["20", "40"])
        self.assertNotIn("Não couberam", narrow)

    def test_ordem_e_melhor(self):
        """--sort ordena e diz a melhor; cargas diferentes têm cada uma a sua melhor"""
        question = dict(BASE, server="dgx-h100,dgx300,dgx200,l40s-8x")
        for column, title in (("nodes", "nós"), ("power_kw", "kW"), ("rack_units", "U")):
            rows = table_rows(self.ok(*flags(question), "--sort", column))
            values = [float(row[title]) for row in rows]  # a coluna da ordem sempre cabe
            self.assertEqual(values, sorted(values), column)
            self.assertEqual([row[""] for row in rows], ["*", "", "", ""])
        rows = table_rows(self.ok(*flags(question), "--sort=sessions_per_node"))
        self.assertEqual([int(row["sessões/nó"]) for row in rows], [613, 273, 131, 57])
        rows = table_rows(self.ok(*flags(question), "--sort=TPOT_MS"))
        tpot = [float(row["TPOT ms"].split()[0]) for row in rows]
        self.assertEqual(tpot, sorted(tpot))
        rows = table_rows(self.ok(*flags(dict(BASE, server="dgx300,dgx200",
                                              effective_context="32k,128k"))))
        self.assertEqual([row[""] for row in rows], ["*", "*", "", ""])
        rows = table_rows(self.ok(*flags(dict(BASE, effective_context="32k,128k"))))
        self.assertEqual([row[""] for row in rows], ["", ""])
        rows = table_rows(self.ok(*flags(dict(BASE, model="kimi-k2,opt-oss-120b",
                                              server="dgx-h100", effective_context="128k",
                                              max_tpot_ms=6)), "--sort=nodes"))
        self.assertEqual([row["nós"] == "-" for row in rows], [False, True])
        self.assertEqual([row[""] for row in rows], ["", ""])  # modelos não se comparam
        # onde nenhuma linha de uma carga tem resposta, não há melhor
        rows = table_rows(self.ok(*flags(dict(
            BASE, model="llama-3.3-70b", server="dgx-spark,l40s-8x", concurrency=10,
            effective_context="8k,128k", max_tpot_ms=30))))
        self.assertEqual([(row[""], row["nós"]) for row in rows],
                         [("", "-"), ("", "-"), ("*", "12"), ("", "-")])

    def test_motor_de_cada_contexto(self):
        """Quando se pergunta o contexto, cada linha tem a sua capacidade e o seu motor"""
        counts = range(2, 300, 30)
        question = {"model": "opt-oss-20b", "server": "dgx-spark", "nodes": 2}
        rows = json.loads(self.ok(*flags(dict(
            question, concurrency=",".join(map(str, counts)))), "--json"))
        for count, row in zip(counts, rows):
            alone = json.loads(self.ok(*flags(dict(question, concurrency=count)), "--json"))
            self.assertEqual(row["engine"], alone["engine"], count)

    def test_notas_de_qualquer_texto(self):
        """Um texto que não é UTF-8 válido passa pelo arquivo temporário de --sort"""
        document = catalogue("models")
        listed("models", "opt-oss-120b", document)["notes"] = "a\ud800b"
        with temporary_file(json.dumps(document).encode("ascii")) as path:
            question = flags(dict(BASE, server="dgx300,dgx200", models_file=path))
            orders = [json.loads(self.ok(*question, "--json", *sort))
                      for sort in ([], ["--sort=nodes"])]
        self.assertEqual(*orders)
        self.assertEqual(orders[0][0]["model"]["notes"], "a?b")  # o que a saída não tem

    def test_nota_da_velocidade(self):
        """O rodapé diz o que supõe a primeira linha com velocidade, na ordem mostrada"""
        question = flags(dict(BASE, effective_context="32k,1024", input_tokens=1000,
                              output_tokens=24))
        self.assertIn("faixa de 80%, prefixo em", self.ok(*question))
        self.assertIn("faixa de 80%, todo pedido", self.ok(*question, "--sort=tpot_ms"))

    def test_all(self):
        """`all` são todas as entradas; nenhuma combinação que não cabe para as outras"""
        rows = table_rows(self.ok(*flags(dict(BASE, server="all", model="opt-oss-120b"))))
        self.assertEqual([row["servidor"] for row in rows],
                         [entry["product"] for entry in catalogue("servers")["servers"]])
        models = json.loads(self.ok(*flags({"model": "ALL", "server": "dgx-spark",
                                            "concurrency": 10}), "--json"))
        self.assertEqual(len(models), len(catalogue("models")["models"]))
        self.assertGreater(sum(item["results"] is None for item in models), 0)
        self.assertGreater(sum(item["results"] is not None for item in models), 0)

    def test_nenhuma_cabe(self):
        """Status 3 só se nenhuma cabe: saída vazia e uma linha"""
        for form in ((), ("--json",), ("--csv",)):
            self.refused([*flags(dict(BASE, model="llama-3.1-405b", server="dgx-spark,l40s-8x",
                                      runtime_overhead_gib=5000)), *form],
                         "nenhuma das 2 combinações tem resposta", status=3)
        self.refused(flags(dict(BASE, input_tokens="120k", effective_context="8k,32k")),
                     "nenhuma das 2", "--input-tokens", status=2)
        # o exemplo é de uma pergunta correta, se há uma
        self.refused(flags(dict(BASE, server="dgx-spark,dgx300", tensor_parallel=8,
                                runtime_overhead_gib=5000)), "por exemplo: uma sessão", status=3)
        self.refused(flags(dict(BASE, model="kimi-k2", server="dgx-spark", concurrency="1,2")),
                     "por exemplo: kimi-k2-instruct em dgx-spark: no melhor leiaute", status=3)

    def test_elementos_ruins(self):
        """O elemento errado de uma lista é nomeado; listas onde não cabem são recusadas"""
        rows = (({"concurrency": "10,abc,30"}, "--concurrency 'abc'"),
                ({"concurrency": "10,,30"}, "--concurrency ''"),
                ({"concurrency": "10,0"}, "--concurrency '0'"),
                ({"concurrency": "1,000"}, "--concurrency '1,000'", "o milhar não se separa"),
                ({"effective_context": "32k,-1"}, "--effective-context '-1'"),
                ({"effective_context": "131,072"}, "'131,072'"),
                ({"kv_precision": "fp8,fp9"}, "--kv-precision 'fp9'"),
                ({"ha": "none,n+3"}, "--ha 'n+3'"), ({"ha": "all"}, "--ha 'all'"),
                ({"model": "opt-oss-120b,nope"}, "--model 'nope'"),
                ({"server": "dgx300,dgx30"}, "--server 'dgx30'", "talvez 'dgx300'"),
                ({"server": "dgx300,"}, "--server ''"),
                ({"storage": "profile_default,nope"}, "--storage 'nope'"),
                ({"storage": "profile_default,"}, "--storage ''"),
                ({"weights_precision": "fp8,fp9"}, "--weights-precision 'fp9'", "separa os"),
                ({"weights_precision": "all"}, "--weights-precision 'all'"),
                ({"tensor_parallel": "4,x"}, "--tensor-parallel 'x'", "auto ou"),
                ({"tensor_parallel": "8,"}, "--tensor-parallel ''"),
                ({"kv_budget_ratio": "0.7,0.8"}, "--kv-budget-ratio '0.7,0.8'"),
                ({"sort": "nodes"}, "--sort", "só tem efeito numa comparação"),
                ({"sort": "x", "server": "dgx300,dgx200"}, "--sort 'x'", "power_kw"))
        for changes, *words in rows:
            with self.subTest(changes):
                self.refused(flags(dict(BASE, **changes)), *words)
        for flag in ("--explain", "--scenarios"):
            self.refused([*flags(dict(BASE, server="dgx300,dgx200")), flag], flag, "--server")
            for more in ("--tensor-parallel=4,8", "--weights-precision=fp8,bf16", "--storage=all"):
                self.refused([*flags(BASE), more, flag], flag, more.split("=")[0])
            self.refused([*flags(dict(BASE, server="all")), flag], flag, "--server")
        self.refused(flags(dict(BASE, server="dgx300,dgx200", calibrate_tpot_ms="30@64")),
                     "--calibrate-tpot-ms", "--server")
        for pair in (("--json", "--csv"), ("--explain", "--csv"), ("--explain", "--scenarios")):
            self.refused([*flags(BASE), *pair], *pair)

    def test_dez_mil(self):
        """10.000 combinações em poucos segundos, com as que não cabem"""
        models = [entry["name"] for entry in catalogue("models")["models"]][::rounds(1, 4)]
        question = {"model": ",".join(models), "server": "all", "kv_precision": "fp8,fp16",
                    "effective_context": rounds("8k,32k,128k,256k", "8k,256k")}
        pairs = len(models) * len(catalogue("servers")["servers"])
        pairs *= rounds(8, 4)
        loads = -(-rounds(10000, 1500) // pairs)
        before = os.times()
        text = self.ok(*flags(dict(question, concurrency=",".join(
            str(100 * 10**n) for n in range(loads)))))
        after = os.times()
        self.assertEqual(len(table_rows(text)), loads * pairs)
        # 3 ms por linha numa máquina livre; a folga é a de uma ocupada, e a da cobertura.
        spent = after.children_user + after.user - before.children_user - before.user
        self.assertLess(spent, rounds(70, 15) if sys.gettrace() is None else 180)

    def test_contexto_limitado(self):
        """Um contexto acima do máximo de um modelo aparece com o que se usou"""
        rows = table_rows(self.ok(*flags({"model": "qwen3-32b,opt-oss-120b", "server": "dgx300",
                                          "concurrency": 10, "effective_context": "128k"})))
        self.assertEqual([row["contexto"] for row in rows], ["40960 (de 131072)", "131072"])
        text = self.ok(*flags({"model": "opt-oss-120b,opt-oss-20b", "server": "dgx300",
                               "requests_per_second": 5, "nodes": 3}))
        self.assertIn("5 pedidos/s,\n3 nós por linha", text)
        self.assertEqual(list(table_rows(text)[0])[:3], ["", "modelo", "até tokens"])
        scout = {"model": "llama-4-scout", "concurrency": 10, "effective_context": "200k"}
        wide = self.ok(*flags(scout), "--server=dgx-spark,l40s-8x")
        results = self.sized(server="dgx-spark", **scout)["results"]
        self.assertEqual(table_rows(wide)[0]["sessões/nó"], "%(sessions_per_unit)d em "
                         "%(nodes_per_unit)d" % results)
        self.assertGreater(results["nodes_per_unit"], 1)
        refused = self.ok(*flags(dict(BASE, server="dgx300,dgx-spark", tensor_parallel=8)))
        self.assertIn("- DGX Spark: --tensor-parallel 8: espera-se", refused)

    def test_metas_na_tabela(self):
        """A coluna de metas diz o pior veredito do JSON; o que se pediu está no alto"""
        question = {"model": "llama-3.3-70b", "server": "dgx200,dgx-b200,dgx300", "ha": "n+1",
                    "concurrency": 300, "cached_tokens": 4000, "input_tokens": 2000,
                    "output_tokens": 400}
        goals = {"min_tokens_per_second": 25, "max_ttft_ms": 2000, "max_tpot_ms": 45}
        words = {"met": "ok", "at_risk": "RISCO", "missed": "não"}
        seen = set()
        for names in (("max_tpot_ms",), ("min_tokens_per_second",), tuple(goals)):
            asked = flags(dict(question, **{name: goals[name] for name in names}))
            rows, documents = table_rows(self.ok(*asked)), json.loads(self.ok(*asked, "--json"))
            self.assertEqual("tokens/s" in rows[0], "min_tokens_per_second" in names)
            self.assertEqual("TTFT ms" in rows[0], "max_ttft_ms" in names)
            for row, document in zip(rows, documents):
                given = [item["verdict"] for item in document["objectives"]]
                self.assertEqual(row["metas"], words[max(given, key=list(words).index)])
                seen.add(row["metas"])
                if "min_tokens_per_second" in names:
                    rate = document["performance"]["output_tokens_per_second_per_session"]
                    self.assertEqual(row["tokens/s"].split()[0], "%.3g" % rate)
        self.assertGreaterEqual(seen, {"ok", "RISCO"})
        self.assertIn("\n4000 em cache + 2000 novos + 400 gerados,\nTPOT até 45 ms, ao menos 25 "
                      "tokens/s, 1º token até 2 s, KV fp8", self.ok(*asked))
        self.assertNotIn("metas", self.ok(*flags(question)))

    def test_sem_preco(self):
        """Quem não tem preço fica fora da escolha por custo, e a nota diz quem; o resto, não"""
        base = dict(BASE, server="dgx200,dgx300,gb200-nvl72,dgx-spark")
        products = {"dgx200": "DGX H200", "dgx300": "DGX B300", "gb200-nvl72": "GB200 NVL72",
                    "dgx-spark": "DGX Spark"}
        for prices in ({"dgx200": 5}, {"dgx200": 5, "dgx300": 1}, {"gb200-nvl72": 9},
                       dict.fromkeys(products, 3)):
            text = self.ok(*flags(base), "--node-price=" + ",".join(
                "%s=%d" % item for item in prices.items()))
            rows = table_rows(text)
            best = [row for row in rows if "*" in row.values()]
            told = re.findall(r"sem preço, fora da escolha: ([^;.]*)", " ".join(text.split()))
            left = sorted(products[name] for name in set(products) - set(prices))
            self.assertEqual(told, [", ".join(left)] if left else [], text)
            for row in rows:
                if row["servidor"] in left:
                    self.assertEqual(row["custo"], "-")
            self.assertFalse({row["servidor"] for row in best} & set(left))
        self.assertNotIn("sem preço", self.ok(*flags(base)))
        self.assertNotIn("sem preço", self.ok(*flags(base), "--node-price=dgx200=5",
                                              "--sort=power_kw"))

    def test_confianca_muda_a_melhor(self):
        """Um aviso diz onde a melhor linha mudaria com 90% de confiança: a do JSON com 90%"""
        criteria = {
            "kW": lambda row: row["physical"]["power_kw"],
            "U": lambda row: row["physical"]["rack_units"],
            "sessões": lambda row: -row["parameters"]["concurrency"]}
        told = 0
        for load, limit, key, more in (
                ({"concurrency": "200,400,800"}, {"max_tpot_ms": 20}, "kW", {}),
                ({"concurrency": 800}, {"max_tpot_ms": 35}, "kW", {}),
                ({"concurrency": 400}, {"max_tpot_ms": 20}, "U", {"sort": "rack_units"}),
                ({"concurrency": 300}, {"max_tpot_ms": 90}, "kW", {}),
                ({"requests_per_second": 20}, {"max_tpot_ms": 20}, "kW", {"output_tokens": 400}),
                ({"nodes": 3}, {"min_tokens_per_second": 40}, "sessões", {})):
            question = dict({"model": "opt-oss-120b", "server": "dgx200,dgx-b200,dgx300",
                             "effective_context": "8k", "input_tokens": 1000},
                            **dict(load, **dict(limit, **more)))
            text, best = self.ok(*flags(question)), {}
            for confidence in ("50%", "90%"):
                rows = json.loads(self.ok(*flags(dict(question, confidence=confidence)), "--json"))
                for row in rows:
                    sessions = row["parameters"]["concurrency"] if len(rows) > 3 else 0
                    best.setdefault((sessions, confidence), []).append(
                        (criteria[key](row), row["server"]["product"]))
            expected = []
            for sessions in sorted({sessions for sessions, _ in best}):
                now, sure = (min(best[sessions, confidence]) for confidence in ("50%", "90%"))
                if {name: value for value, name in best[sessions, "90%"]}[now[1]] > sure[0]:
                    expected.append(sure[1] + ", %d sessões" % sessions * (len(rows) > 3))
            found = re.findall("com --confidence 90% a melhor seria (.*?);", " ".join(text.split()))
            self.assertEqual(found, [" ou ".join(expected)] * bool(expected), question)
            told += bool(expected)
            self.assertNotIn("com --confidence", self.ok(*flags(dict(question, confidence="90%"))))
        self.assertEqual(told, 3)
        none = self.ok(*flags({"model": "opt-oss-120b", "server": "dgx200,dgx-b200,dgx300",
                               "effective_context": "8k", "input_tokens": 1000, "concurrency": 30,
                               "max_tpot_ms": 3}))
        self.assertIn("com --confidence 90% nada cabe na carga de DGX ", " ".join(none.split()))

    def test_pedido_e_mistura_em_cada_linha(self):
        """--context-mix e as flags do pedido: cada linha é a da execução sozinha"""
        mix = {"context_mix": "8k:70%,32k:25%,64k:5%"}
        request = {"cached_tokens": 3000, "input_tokens": 500, "output_tokens": 200}
        for base in (dict(mix, concurrency="50,900"), dict(request, concurrency="50,900"),
                     dict(mix, nodes=3), dict(request, nodes=3, shared_prefix_tokens=2048),
                     dict(mix, nodes=3, concurrency="50,200", shared_prefix_tokens=2048),
                     dict(request, nodes=3, concurrency=200)):
            question = dict(base, model="opt-oss-120b,llama-3.3-70b", server="dgx200,dgx300",
                            kv_precision="fp8,fp16")
            documents = json.loads(self.ok(*flags(question), "--json"))
            names = [name for name in ("model", "server", "concurrency", "kv_precision")
                     if name in question]
            combinations = list(itertools.product(*(
                str(question[name]).split(",") for name in names)))
            self.assertEqual(len(documents), len(combinations))
            for index in random.Random(3).sample(range(len(combinations)), rounds(4, 2)):
                single = run(*flags(dict(question, **dict(zip(names, combinations[index])))),
                             "--json")
                if single.returncode:
                    self.assertIn(documents[index]["error"], single.stderr)
                else:
                    self.assertEqual(json.loads(single.stdout), documents[index])
            text = self.ok(*flags(question))
            self.assertLessEqual(max(map(len, text.splitlines())), 80)
            shown = "70% de 8192 + 25% de 32768 + 5% de 65536 tokens"
            self.assertIn(shown if "context_mix" in base else "3700 tokens", text)
        for extra in ({"effective_context": "8k"}, {"context_mix": "8k:70%,32k:x"}):
            self.refused(flags(dict({"model": "opt-oss-120b", "server": "dgx200,dgx300",
                                     "concurrency": 10}, **dict(mix, **extra))), "--context-mix")

    def test_melhor_de_cada_modelo(self):
        """O `*` compara servidores, precisões, tp e storages, nunca modelos diferentes"""
        question = {"model": "opt-oss-120b,llama-3.3-70b", "server": "dgx300,dgx200",
                    "effective_context": "32k"}
        for load in ({"concurrency": "100,9000"}, {"nodes": 2}):
            text = self.ok(*flags(dict(question, **load)))
            rows = table_rows(text)
            models = {(row["modelo"], row.get("sessões")) for row in rows if row[""]}
            self.assertEqual(len(models), sum(row[""] == "*" for row in rows))
            self.assertEqual(len(models), 4 if "concurrency" in load else 2)
            self.assertIn("* a melhor de cada carga e modelo: ", text)
        one = self.ok(*flags(dict(question, model="opt-oss-120b", concurrency=100)))
        self.assertIn("* a melhor de cada carga: menos kW", one)
        self.assertNotIn("* a melhor", self.ok(*flags(dict(question, server="dgx300", nodes=2))))
        for choice in ({"weights_precision": "bf16,fp8"}, {"kv_precision": "fp16,fp8"},
                       {"tensor_parallel": "8,4"}, {"storage": "aws_ebs_gp3,dgx_nvme_raid0"}):
            rows = table_rows(self.ok(*flags(dict(
                choice, model="llama-3.3-70b", server="dgx200", concurrency=10,
                effective_context="32k"))))
            self.assertEqual(sum(row[""] == "*" for row in rows), 1, choice)
        self.assertEqual([row[""] for row in rows], ["", "*"])  # no empate, a carga mais rápida

    def test_nomes_dos_servidores(self):
        """A tabela diz o produto; o nome do catálogo, se o produto não distingue as linhas"""
        document = catalogue("servers")
        listed("servers", "dgx300", document)["product"] = "DGX H200"
        del listed("servers", "dgx-h100", document)["product"]
        listed("servers", "l40s-8x", document)["product"] = "A | B"
        listed("servers", "dgx-a100", document)["product"] = "dgx-b200"
        with temporary_file(json.dumps(document).encode()) as path:
            def shown(servers):
                question = flags(dict(BASE, server=servers, servers_file=path))
                return [row["servidor"] for row in table_rows(self.ok(*question))]

            self.assertEqual(shown("dgx300,dgx200,dgx-b200"), ["dgx300", "dgx200", "DGX B200"])
            self.assertEqual(shown("dgx200,dgx-h100,l40s-8x"), ["DGX H200", "dgx-h100", "l40s-8x"])
            self.assertEqual(shown("dgx-a100,dgx-b200"), ["dgx-a100", "DGX B200"])
        question = flags(dict(BASE, server="dgx300", effective_context="8k,32k"))
        self.assertTrue(self.ok(*question).startswith("opt-oss-120b, DGX B300, pesos mxfp4, "))
        self.assertEqual(csv_rows(self.ok(*question, "--csv"))[0]["server"], "dgx300")

    def test_colunas_pedidas(self):
        """TTFT, carga e custo aparecem quando se pedem, com os números do JSON"""
        question = dict(BASE, server="dgx300,dgx200", effective_context="8k", concurrency=100)
        rows = table_rows(self.ok(*flags(question)))
        self.assertEqual(list(rows[0])[-3:], ["TPOT ms", "kW", "U"])
        for asked, title in ((["--max-ttft-ms=9000"], "TTFT ms"), (["--sort=ttft_ms"], "TTFT ms"),
                             (["--sort=cold_start_seconds"], "carga"), (["--years=3",
                              "--energy-price=0.1", "--node-price=1000", "--sort=total"], "custo"),
                             (["--storage=aws_ebs_gp3"], "carga")):
            rows = table_rows(self.ok(*flags(question), *asked))
            documents = json.loads(self.ok(*flags(question), *asked, "--json"))
            for row, document in zip(rows, documents):
                if title == "TTFT ms":
                    number = document["performance"]["ttft_ms"]["estimate"]
                elif title == "custo":
                    number = document["costs"]["total"]
                else:
                    number = document["storage_plan"]["cold_start_seconds"]
                    number /= 60 if number > 120 else 1
                self.assertAlmostEqual(float(row[title].split()[0]), number, delta=number / 100)
            if "sort" in asked[-1]:
                self.assertEqual([row[""] for row in rows], ["*", ""])
                values = [float(row[title].split()[0]) for row in rows]
                self.assertEqual(values, sorted(values))
        rows = table_rows(self.ok(*flags(dict(question, effective_context="128k")),
                                  "--sort=ttft_ms"))
        self.assertEqual([row["TTFT ms"] == "fila" for row in rows], [False, True])
        self.refused([*flags(question), "--sort=total"], "--sort", "total", "--node-price")

    def test_preco_de_cada_servidor(self):
        """O preço de cada servidor, por qualquer nome; sem preço, sem custo; o mais barato vence"""
        prices = {"dgx200": 400000, "dgx300": 520000}
        question = dict(BASE, server="dgx300,dgx200,dgx-b200", years=3, energy_price="0.12",
                        node_price="DGX H200=400000,dgx-b300=520k")
        documents = json.loads(self.ok(*flags(question), "--json"))
        for document in documents:
            name = document["server"]["name"]
            self.assertEqual(document["parameters"]["node_price"], prices.get(name))
            if name in prices:
                alone = self.sized(server=name, years=3, energy_price="0.12",
                                   node_price=prices[name])
                self.assertEqual(document, alone)
            else:
                self.assertNotIn("costs", document)
        rows = table_rows(self.ok(*flags(question)))
        self.assertEqual([row["custo"] for row in rows], [
            "%.0f" % document["costs"]["total"] if "costs" in document else "-"
            for document in documents])
        self.assertEqual([row["total"] != "" for row in csv_rows(self.ok(
            *flags(question), "--csv"))], [True, True, False])
        # o critério é o custo, e não os kW, onde cada servidor tem o seu
        rows = table_rows(self.ok(*flags(dict(BASE, server="dgx300,dgx200", node_price=(
            "dgx300=900000,dgx200=100")))))
        self.assertEqual([(row[""], row["custo"]) for row in rows],
                         [("", "1800000"), ("*", "500")])
        text = self.ok(*flags(dict(BASE, server="dgx300,dgx200", node_price=100)))
        self.assertEqual([(row[""], row["custo"]) for row in table_rows(text)],
                         [("*", "200"), ("", "500")])
        self.assertIn("* a melhor de cada carga: menos kW", text)
        self.assertEqual(self.sized(node_price="b300=7")["costs"]["purchase"], 14)
        for text, *words in (
                ("dgx200=5", "'dgx200'", "sem efeito", "--server"),
                ("dgx300=5,nope=6", "'nope'", "fora do catálogo"),
                ("dgx300=5,DGX B300=6", "'DGX B300'", "se repete"),
                ("dgx300=400,000", "'000'", "SERVIDOR=PREÇO", "o milhar não se separa"),
                ("=5", "'=5'", "SERVIDOR=PREÇO"), ("dgx300=", "''", "número positivo"),
                ("dgx300=-5", "'-5'", "número positivo"), ("dgx300=5,", "''", "SERVIDOR=PREÇO"),
                ("dgx300=500.000", "'500.000'", "500000"),
                ("400000,5", "'400000,5'", "sem vírgula")):
            self.refused([*flags(BASE), "--node-price=" + text], "--node-price", *words)

    def test_tabela_em_80_colunas(self):
        """Nenhuma comparação passa de 80 colunas; o que sai se diz, e o que fica são os números"""
        document = catalogue("models")
        listed("models", "phi-4", document)["name"] = "x" * 80
        generator, numbered, dropped = random.Random(11), 0, set()
        lists = {"server": "dgx300,rtx-pro-6000-8x,dgx-spark", "concurrency": "10,1000000",
                 "effective_context": "8k,256k", "kv_precision": "fp8,fp16", "ha": "none,n+2",
                 "weights_precision": "fp8,bf16", "tensor_parallel": "auto,8",
                 "storage": "gcp_hyperdisk_balanced,aws_ebs_gp3"}
        with temporary_file(json.dumps(document).encode()) as path:
            for _ in range(rounds(24, 8)):
                names = generator.sample(sorted(lists), generator.randint(1, 5))
                question = dict(
                    {"model": "opt-oss-120b", "server": "dgx200", "concurrency": 20},
                    **{name: lists[name] for name in names})
                question["model"] = generator.choice((
                    "opt-oss-120b", "llama-3.3-70b," + "x" * 80, "mistral-small,qwen3-32b"))
                more = generator.choice(([], ["--sort=ttft_ms"], ["--max-tpot-ms=900"], [
                    "--node-price=1e30", "--sort=rack_units"], ["--max-ttft-ms=30000"]))
                text = self.ok(*flags(dict(question, models_file=path)), *more)
                self.assertLessEqual(max(map(len, text.splitlines())), 80, (question, more))
                rows = table_rows(text)
                count = 1
                for value in question.values():
                    count *= len(str(value).split(","))
                self.assertEqual(len(rows), count)
                numbered += "linha" in rows[0]
                gone = re.search(r"^Não couberam: ([^(]*) \(em --csv\)(; P95 ms \(em --json\))?\.$",
                                 text, re.M)
                if gone:
                    dropped |= set(gone[1].split(", "))
                    self.assertFalse(set(gone[1].split(", ")) & set(rows[0]))
                if "linha" in rows[0]:  # a lista diz o que é cada linha
                    found = re.findall(r"^- (\d+):", text, re.M)
                    self.assertEqual(sorted(found, key=int), [str(n + 1) for n in range(count)])
        self.assertGreater(numbered, 0)
        self.assertGreaterEqual(dropped, {"U", "kW", "limite", "sessões/nó"})
        for goals in ({"max_tpot_ms": 900}, {"min_tokens_per_second": 1, "max_ttft_ms": 30000}):
            plain = process(*flags(dict(
                goals, model="opt-oss-120b", server="dgx200,dgx300,dgx-b200", concurrency="20,900",
                kv_precision="fp8,fp16", input_tokens=2000, cached_tokens=4000, ha="n+1",
                output_tokens=400)), env=dict(os.environ, PYTHONIOENCODING="ascii"))
            self.assertTrue(plain.stdout.isascii())
            self.assertLessEqual(max(map(len, plain.stdout.splitlines())), 80, plain.stdout)
        for form in (["--scenarios"], ["--scenarios", "--sort=nodes"],
                     ["--scenarios", "--node-price=1e30", "--max-ttft-ms=60000"]):
            text = self.ok(*flags(dict(BASE, server="dgx-b200")), *form)
            self.assertLessEqual(max(map(len, text.splitlines())), 80)
            self.assertIn("quedas cobertas", table_rows(text)[0])
        text = self.ok("--model=opt-oss-120b", "--server=dgx300", "--nodes=%d" % 10**27,
                       "--requests-per-second=5", "--scenarios")
        self.assertLessEqual(max(map(len, text.splitlines())), 80, text)

    def test_combinacoes_demais(self):
        """Acima do limite, a conta delas e nada calculado; o que se repete numa lista é recusado"""
        thousand = ",".join(map(str, range(1000, 2000)))
        question = dict(BASE, concurrency=thousand, effective_context=thousand)
        loads = flags(dict(BASE, concurrency="10,20,30", effective_context="8k,16k"))
        whole = self.ok(*loads)
        with unittest.mock.patch.object(sizing, "MAX_HELD", 1):  # as outras se refazem
            self.assertEqual(in_this_process(loads).stdout, whole)
        with unittest.mock.patch.object(sizing, "rows_of", None):
            done = in_this_process(flags(question))
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1))
            self.assertIn("1000000 combinações, e o máximo é 100000", done.stderr)
            few = dict(question, effective_context=",".join(map(str, range(1000, 1011))))
            done = in_this_process([*flags(few), "--html"])
            self.assertIn("11000 combinações, e o máximo com --html é 10000", done.stderr)
        done = in_this_process(flags(dict(BASE, concurrency="1," * 100000 + "1")))  # > 128 KiB
        self.assertIn("--concurrency: 100001 valores a comparar", done.stderr)
        self.refused(flags(dict({k: v for k, v in BASE.items() if k != "effective_context"},
                                context_mix=",".join("%d:1%%" % n for n in range(1, 101)))),
                     "--context-mix", "até 32 comprimentos")
        for flag, values in (("concurrency", "10,1e1"), ("server", "dgx300,DGX B300"),
                             ("model", "all,opt-oss-20b"), ("ha", "none,n+1,none"),
                             ("storage", "profile_default,profile_default")):
            self.refused(flags(dict(BASE, **{flag: values})), "--" + flag, "se repete na lista")

    def test_memoria_por_linha(self):
        """Cada linha a mais ocupa até 1 KB na tabela, com objetivos ou sem"""
        import tracemalloc

        def held_bytes(rows, *args):
            loads = ",".join(str(1000 + i) for i in range(rows // 10))
            contexts = ",".join(str(8192 + 64 * i) for i in range(10))
            given = sizing.parse_arguments([*flags(dict(
                BASE, concurrency=loads, effective_context=contexts)), *args])
            tracemalloc.start()
            try:
                return max(tracemalloc.get_traced_memory()[0]
                           for _ in sizing.answer(given, False)[0])
            finally:
                tracemalloc.stop()

        few, many = [held_bytes(rows, "--max-tpot-ms=50") for rows in (20, 20, 60)][1:]
        self.assertLess((many - few) / 40, 1024)


class Invertida(Case):
    """A pergunta invertida: o que os nós dados mantêm"""

    def test_sessoes(self):
        """Quantas sessões mantêm N nós: com pico e HA à parte; as mesmas da pergunta direta"""
        rows = (({}, 510), ({"nodes": 2}, 1021), ({"nodes": 2, "ha": "n+1"}, 510),
                ({"nodes": 3, "peak_headroom_ratio": 0}, 1839),
                ({"nodes": 2, "effective_context": "32k"}, 4078),
                ({"nodes": 2, "kv_precision": "fp16"}, 510))
        for changes, sessions in rows:
            with self.subTest(changes):
                question = dict({"model": "opt-oss-120b", "server": "dgx300"}, **changes)
                document = json.loads(self.ok(*flags(question), "--json"))
                self.assertEqual(document["question"], "sessions")
                self.assertEqual(document["results"]["max_concurrency"], sessions)
                self.assertEqual(document["parameters"]["concurrency"], sessions)
                self.assertIn("até %d sessões" % sessions, self.ok(*flags(question)))
        context = json.loads(self.ok("--model=opt-oss-120b", "--server=dgx300", "--json"))
        self.assertEqual([tuple(item.values()) for item in context["results"]["by_context"]],
                         [(4096, 15883), (8192, 8063), (16384, 4062), (32768, 2039),
                          (65536, 1021), (131072, 510)])

    def test_por_contexto(self):
        """A tabela da pergunta invertida vai de 4096 ao máximo do modelo, incluído"""
        for model, last in (("phi-4", 16384), ("qwen3-32b", 32768), ("opt-oss-120b", 131072),
                            ("deepseek-v4", 1048576), ("llama-4-scout", 1048576)):
            document = json.loads(self.ok("--model", model, "--server=dgx300", "--json"))
            rows = document["results"]["by_context"]
            self.assertEqual([row["effective_context"] for row in rows],
                             [1024 * 2**n for n in range(2, last.bit_length() - 10)])
            self.assertLessEqual(last, document["model"]["max_position_embeddings"])
            for row in (rows[0], rows[-1]):
                single = json.loads(self.ok("--model", model, "--server=dgx300", "--json",
                                            "--effective-context", row["effective_context"]))
                self.assertEqual(single["results"]["max_concurrency"], row["max_concurrency"])
        entry = json.loads(self.ok("--model=opt-oss-120b", "--server=dgx300", "--input-tokens=8k",
                                   "--json"))  # só os contextos em que a entrada cabe
        self.assertEqual([row["effective_context"] for row in entry["results"]["by_context"]],
                         [16384, 32768, 65536, 131072])

    def test_contexto(self):
        """O maior contexto de uma carga em N nós; um token a mais não caberia"""
        # mesmo onde o maior de todos não cabe na memória
        self.ok(*flags({"model": "llama-3.1-8b", "server": "dgx-spark", "kv_precision": "fp16",
                        "concurrency": 1, "nodes": 1, "pipeline_parallel": 1,
                        "gpu_memory_utilization": 0.2}))
        for nodes, sessions in ((1, 1000), (1, 600), (2, 5000)):
            question = {"model": "opt-oss-120b", "server": "dgx300", "nodes": nodes,
                        "concurrency": sessions}
            document = json.loads(self.ok(*flags(question), "--json"))
            longest = document["results"]["max_context"]
            self.assertEqual(document["question"], "context")
            self.assertEqual(document["parameters"]["effective_context"], longest)
            del question["nodes"]
            fits = [json.loads(self.ok(*flags(dict(question, effective_context=n)), "--json"))
                    ["results"]["nodes_final"] for n in (longest, longest + 1)]
            self.assertLessEqual(fits[0], nodes)
            self.assertGreater(fits[1], nodes)
        whole = json.loads(self.ok("--model=opt-oss-120b", "--server=dgx300", "--nodes=9",
                                   "--concurrency=5", "--json"))
        self.assertEqual(whole["results"]["max_context"], 131072)
        self.assertEqual(whole["results"]["nodes_final"], 9)
        # no contexto máximo do modelo não caberia nem uma sessão
        short = json.loads(self.ok("--model=llama-4-scout", "--server=l40s-8x", "--nodes=2",
                                   "--concurrency=5", "--json"))
        self.assertLess(short["results"]["max_context"],
                        short["model"]["max_position_embeddings"])

    def test_acordo(self):
        """Dimensionar a resposta dá até N nós; uma sessão, ou um token, a mais passa de N"""
        generator, seen = random.Random(8), {"sessions": 0, "context": 0, "none": 0}
        models, servers = entries_of("models"), entries_of("servers")
        for _ in range(rounds(260, 26)):
            model, server = generator.choice(models), generator.choice(servers)
            choices = {"ha_mode": generator.choice(("none", "n+1", "n+2")),
                       "peak_headroom_ratio": Fraction(generator.choice(("0", "0.2", "1.5"))),
                       "kv_precision": generator.choice(("fp8", "fp16"))}
            if model.name.startswith("deepseek-v4"):
                choices["kv_precision"] = "fp8"  # o motor não a serve em outra
            if generator.random() < 0.3 and server.tflops_bf16:
                choices["max_tpot_ms"] = generator.choice((30.0, 100.0, 400.0))
            nodes = generator.choice((1, 1, 2, 5, 40))
            context = generator.randint(2, model.max_position_embeddings)
            asked = asking(model, server, 0, context, nodes=nodes, **choices)
            result = answer_to(asked)
            if result is None:
                seen["none"] += 1
                self.assertGreater(forward_nodes(asked, concurrency=1), nodes)
            else:
                seen["sessions"] += 1
                held = result.concurrency
                self.assertEqual(result.asks, "sessions")
                self.assertLessEqual(forward_nodes(asked, concurrency=held), nodes)
                self.assertGreater(forward_nodes(asked, concurrency=held + 1), nodes)
                self.assertEqual(result.nodes_final, nodes // result.unit * result.unit)
            asked = asking(model, server, generator.randint(1, 3000), 0, nodes=nodes, **choices)
            result = answer_to(asked)
            if result is None:
                self.assertGreater(forward_nodes(asked, requested_context=2), nodes)
            else:
                seen["context"] += 1
                longest = result.context
                self.assertLessEqual(forward_nodes(asked, requested_context=longest), nodes)
                if longest < model.max_position_embeddings:
                    self.assertGreater(forward_nodes(asked, requested_context=longest + 1), nodes)
        self.assertTrue(all(count > rounds(20, 1) for count in seen.values()), seen)

    def test_maior_de_todos(self):
        """Nenhum contexto maior cabe, nem onde réplicas de vários nós compram menos"""
        rows = (("kimi-k2.5", "h100-nvl-8x", 5, 2, 262144), ("kimi-k2.5", "rtx-pro-6000-8x", 100,
                                                             4, 262144))
        for model, server, sessions, nodes, longest in rows:
            document = json.loads(self.ok("--model", model, "--server", server, "--concurrency",
                                          sessions, "--nodes", nodes, "--json"))
            self.assertEqual(document["results"]["max_context"], longest)
        generator, models, servers = random.Random(11), entries_of("models"), entries_of("servers")
        checked = 0
        while checked < rounds(15, 3):
            model, server = generator.choice(models), generator.choice(servers)
            asked = asking(model, server, generator.choice((20, 500, 20000)), 0, nodes=1)
            if server.tflops_bf16:
                ends = [forward for forward in (answer_to(changed(
                    asked, requested_context=n, nodes=None)) for n in (64, 512)) if forward]
                speed = ends and document_of(ends[-1])["performance"]
                if speed:
                    asked = changed(asked, max_tpot_ms=generator.uniform(0.2, 2)
                                    * speed["tpot_ms"]["estimate"])
            result = answer_to(asked)
            found = result.context if result else 0
            top = min(model.max_position_embeddings, 3000)
            further = range(max(2, found + 1), top)
            tried = {*further[:60], *further[-2:], *generator.sample(  # perto, e alguns longe
                further, len(further) // rounds(10, 30))}
            beyond = [n for n in sorted(tried)
                      if forward_nodes(asked, requested_context=n) <= 1]
            self.assertEqual(beyond, [], (model.name, server.name, asked.max_tpot_ms, found))
            checked += 1

    def test_carga_literal(self):
        """Nós, sessões e contexto: avalia a carga literalmente; cabe ou diz quantos pede"""
        base = dict(BASE, nodes=2, concurrency=1226)
        document = json.loads(self.ok(*flags(base), "--json"))
        self.assertEqual((document["question"], document["results"]["nodes_final"]), ("load", 2))
        self.refused(flags(dict(base, concurrency=1227)), "2 nós", "1226 sessões", "pede 3 nós",
                     status=3)
        for flag in ("peak_headroom_ratio", "ha"):
            self.refused(flags(dict(base, **{flag: "n+1" if flag == "ha" else 0})), "--nodes",
                         "--" + flag.replace("_", "-"))
        self.refused([*flags(base), "--scenarios"], "--nodes", "--scenarios")

    def test_replica_de_varios_nos(self):
        """Numa réplica de 6 nós N desce à unidade inteira, e o resto ocioso é dito"""
        question = {"model": "kimi-k2", "server": "dgx-h100", "nodes": 13}
        document = json.loads(self.ok(*flags(question), "--json"))
        unit = document["results"]["nodes_per_unit"]
        self.assertEqual(document["results"]["nodes_final"], 13 // unit * unit)
        self.assertIn("idle_nodes", self.codes(document))
        self.refused(flags(dict(question, nodes=1)), status=3)
        # 13 nós são 3 unidades de 4 e um ocioso, que substitui o primeiro que cair.
        load = json.loads(self.ok(*flags(dict(question, concurrency=100,
                                              effective_context="128k")), "--json"))
        self.assertEqual(load["results"]["nodes_per_unit"], 4)
        self.assertEqual(load["ha_plan"]["failures_covered_nominal"], 3)
        self.assertEqual(load["ha_plan"]["failures_covered_peak"], 3)

    def test_nada_se_mantem(self):
        """Reserva que toma todos os nós: status 3 e quantos bastam"""
        line = self.refused(["--model=opt-oss-120b", "--server=dgx300", "--ha=n+2"],
                            "1 nó de dgx300, com 2 de reserva", "; cabe com --nodes 3",
                            status=3)
        self.assertNotIn("Traceback", line)
        self.refused(["--model=opt-oss-120b", "--server=dgx300", "--nodes=1",
                      "--concurrency=100000000"], "1 nó de dgx300 admite", "de 1 token", status=3)
        self.refused(["--model=opt-oss-120b", "--server=dgx300", "--nodes=2", "--concurrency=10",
                      "--ha=n+2"], "pede 3 nós (2 de reserva)", "cabe com --nodes 3", status=3)

    def test_pedidos_por_segundo(self):
        """Uma taxa com nós dados: o maior contexto, ou se ela cabe"""
        question = {"model": "llama-3.1-8b", "server": "dgx200", "requests_per_second": 20,
                    "nodes": 1, "output_tokens": 200}
        longest = json.loads(self.ok(*flags(question), "--json"))["results"]["max_context"]
        for context, status in ((longest, 0), (longest + 200, 3)):
            asked = dict(question, effective_context=context)
            forward = {key: value for key, value in asked.items() if key != "nodes"}
            nodes = json.loads(self.ok(*flags(forward), "--json"))["results"]["nodes_final"]
            self.assertEqual(nodes > 1, bool(status), (context, nodes))


class Explicacao(Case):
    """--explain e --scenarios"""

    QUESTIONS = (
        dict(BASE, ha="n+1", node_price=500000, energy_price="0.12", years=3),
        {"model": "deepseek-r1", "server": "dgx200", "effective_context": "32k"},
        {"model": "kimi-k2", "server": "dgx-h100", "concurrency": 100},
        {"model": "qwen3-next-80b", "server": "dgx200", "concurrency": 50, "kv_precision": "fp16"},
        {"model": "deepseek-v3.2", "server": "dgx-b200", "nodes": 3, "ha": "n+1"},
        {"model": "gemma-3-27b", "server": "l40s-8x", "nodes": 2, "concurrency": 40},
        {"model": "llama-3.1-8b", "server": "dgx-spark", "concurrency": 3,
         "effective_context": "8k"},
        dict(BASE, max_tpot_ms=50), dict(BASE, storage="superpod_standard", concurrency=9000),
        {"model": "llama-3.1-70b", "server": "dgx200", "requests_per_second": 12,
         "effective_context": "8k", "weights_precision": "fp8"},
        {"model": "gpt-oss-20b", "server": "gb200-nvl72", "concurrency": 10**6,
         "effective_context": 64, "node_price": 1},
        dict(BASE, kv_budget_ratio="0.1234567891"),  # o orçamento não é inteiro
        {"model": "deepseek-r1", "server": "dgx200", "concurrency": 150, "speculative_tokens": 2,
         "effective_context": "8k", "max_tpot_ms": 45},
        {"model": "qwen3.5-27b", "server": "h100-nvl-8x", "requests_per_second": "0.2", "ha": "n+1",
         "effective_context": "4k", "speculative_tokens": 3, "acceptance_length": "1.7"},
        {"model": "kimi-k2.5", "server": "dgx-spark", "concurrency": 1000, "nodes": 1000,
         "effective_context": 17})  # os nós não são um múltiplo dos da réplica

    def check(self, question, figures):
        """Cada conta, refeita, dá o valor que se mostra, e cada nome tem um só valor."""
        shown = {row["name"]: row["value"] for row in figures}
        self.assertEqual(len(shown), len(figures), question)
        known = {}
        for row in figures:
            with self.subTest(question=question, row=row):
                self.assertTrue(row["label"] and (row["formula"] or row["source"]))
                names = substituted(row)
                self.assertIsNotNone(names)
                for name, text in names:
                    if name not in OF_A_GROUP:
                        self.assertEqual(known.setdefault(name, text), text, name)
                    value = float(evaluated(text, True))
                    self.assertEqual("%.9g" % value, "%.9g" % shown.get(name, value), name)
                if row["formula"]:
                    Explicacao.check_value(self, row["numbers"], row["value"])

    def check_value(self, numbers, value):
        """Um inteiro é exato; um real, um dos que os números impressos dão."""
        if isinstance(value, int):
            self.assertEqual(evaluated(numbers, True), value)
            return
        seen, half = evaluated(numbers, False), abs(value) * 5e-9 + 1e-15
        self.assertLessEqual(seen.low - half, value)
        self.assertLessEqual(value, seen.high + half)
        # E os números impressos bastam para dizer o valor.
        spread = abs(value) * 1e-4 if value else 1e-6  # o zero é a diferença de iguais
        self.assertLessEqual(seen.high - seen.low, spread + 1e-12)

    MIX = ((2048, Fraction(7, 10)), (9000, Fraction(3, 10)))
    EVERY_KIND = (  # (modelo, servidor, escolhas), com as de `asking`
        ("deepseek-r1", "dgx200", {"tensor_parallel": 1, "ha_mode": "n+1"}),  # atenção em dp
        ("deepseek-r1", "dgx-h100", {"nodes": 9, "context": 4096}),  # a réplica, de vários nós
        ("deepseek-r1", "dgx200", {"speculative_tokens": 2, "max_ttft_ms": 5000.0,
                                   "confidence": Fraction(9, 10)}),
        ("qwen3.5-27b", "dgx200", {"requests_per_second": Fraction(3), "concurrency": None,
                                   "speculative_tokens": 1, "ha_mode": "n+2", "nodes": 9}),
        ("glm-4.5", "dgx200", {"speculative_tokens": 1, "context": None, "context_mix": MIX,
                               "shared_prefix_tokens": 700}),
        ("llama-3.1-405b", "dgx-h100", {"pipeline_parallel": 4, "max_tpot_ms": 900.0}),
        ("llama-3.1-70b", "dgx-spark", {"nodes": 700, "concurrency": 9}),  # nós ociosos
        ("llama-3.1-70b", "dgx200", {"shared_prefix_tokens": 3000, "node_price": 400000,
                                     "energy_price": Fraction("0.37"), "years": Fraction(5, 2)}),
        ("gemma-3-27b", "l40s-8x", {"context": None, "context_mix": MIX, "max_tpot_ms": 60.0}),
        ("gpt-oss-120b", "dgx300", {"context": None, "nodes": 2, "concurrency": 2000}),
        ("gpt-oss-120b", "gb200-nvl72", {"concurrency": None, "nodes": 3, "context": 65}),
        ("deepseek-v4-flash", "dgx-h100", {"kv_precision": "fp8", "energy_price": 1, "years": 1}),
        ("kimi-linear-48b-a3b-instruct", "dgx200", {"context": 17, "shared_prefix_tokens": 3}),
        ("llama-4-scout-17b-16e-instruct", "dgx-b200", {"calibration": (30.0, 2)}),
        ("nemotron-3-nano", "dgx-b200", {"kv_precision": "nvfp4",
                                           "kv_budget_ratio": Fraction(1, 9)}),
        ("phi-4", "dgx300", {"max_num_seqs": 5, "min_tokens_per_second": 20.0, "max_tpot_ms": 40.0,
                             "cached_tokens": 4000, "input_tokens": 90, "context": None}),
        ("deepseek-r1", "dgx300", {"disaggregated": "yes", "speculative_tokens": 1, "nodes": 20,
                                   "ha_mode": "n+1"}),
        ("deepseek-r1", "dgx300", {"disaggregated": "yes", "requests_per_second": Fraction(20),
                                   "concurrency": None, "shared_prefix_tokens": 100}))
    # Números do JSON sem conta própria: dados, iguais a outro, ou que a tela não mostra.
    UNCOUNTED = {
        "nodes_per_unit", "sessions_per_node", "nodes_final", "max_context", "failed_nodes",
        "failures_covered_nominal", "failures_covered_peak", "checkpoint_bytes", "loader_gbps",
        "engine_start_seconds", "parked_sessions", "parked_kv_bytes", "nodes_per_rack"}

    def stated_names(self, result, figures):
        """Cada nome de uma fórmula é uma das contas, ou diz-se o que é, ou está no JSON."""
        known = {row["name"] for row in figures} | OF_A_GROUP | set(sizing.FORMULA_CONSTANTS)
        quantities = sizing.quantities_of(result.internal, figures)
        known |= {row["name"] for row in quantities if row["label"] and row["value"] is not None}
        document = document_of(result)
        for block in ("model", "server", "storage", "parameters", "results", "engine",
                      "storage_plan", "physical"):
            known |= set(document.get(block, ()))
        for row in figures:
            for name in re.findall(QUANTITY, row["formula"]):
                self.assertTrue(name in known or name.replace("prefill_", "") in known
                                or re.fullmatch(r"mix_\d_ratio", name), (row["name"], name))

    def counted(self, document, figures):
        """Os números do JSON que a tela mostra têm cada um a sua conta, com o mesmo valor."""
        rows = {row["name"]: row["value"] for row in figures}
        speed = document["performance"] or {"breakdown_ms": {}}
        blocks = [document[name] for name in ("results", "ha_plan", "storage_plan", "physical")]
        blocks += [document.get("costs", {}), speed["breakdown_ms"], {
            name: speed[name]["estimate"] for name in ("tpot_ms", "ttft_ms", "ttft_p95_ms")
            if speed.get(name)}]
        untold = set(self.UNCOUNTED)
        if not document["parameters"]["shared_prefix_tokens"]:
            untold.add("shared_prefix_bytes")
            if not document["parameters"]["context_mix"]:
                untold.add("kv_own_mean_bytes")
        for name, value in itertools.chain.from_iterable(block.items() for block in blocks):
            if type(value) in (int, float) and name not in untold and not name.endswith("ib"):
                self.assertEqual("%.9g" % rows[name], "%.9g" % value, name)

    def test_todo_tipo(self):
        """De cada tipo de pergunta, cada conta fecha, e cada número da tela tem a sua"""
        for (model, server, choices), storage in zip(self.EVERY_KIND, FUZZ_STORAGE * 9):
            choices = dict({"concurrency": 300, "context": 9000}, **choices)
            result = answer(changed(asking(model, server, **choices),
                                    storage=in_catalogue("storage", storage)))
            figures = figures_of(result)
            self.check((model, server, choices), figures)
            with self.subTest(model=model, server=server, choices=choices):
                self.counted(document_of(result), figures)
                self.stated_names(result, figures)

    def test_fracao_de_byte(self):
        """Elementos que não somam um byte inteiro se arredondam na conta; e sem teto há conta"""
        odd = dict(listed("models", "llama-3.1-8b"), name="impar", attention_pattern="groups",
                   num_layers=3, groups=[{"kind": "full", "layers": 3, "kv_heads": 1, "k_dim": 33,
                                          "v_dim": 33}])
        bare = {name: value for name, value in listed("servers", "dgx300").items() if name in (
            "name", "gpus", "total_hbm_gb", "hbm_per_gpu_gb", "source", "notes")}
        for model, server, kv in ((entry_of("models", odd), "dgx-b200", "nvfp4"),
                                  ("llama-3.1-8b", entry_of("servers", dict(bare, name="caixa")),
                                   "fp8")):
            figures = figures_of(answer(asking(model, server, 300, 100, kv_precision=kv)))
            self.check((model, server), figures)
            rows = {row["name"]: row["formula"] for row in figures}
            self.assertIn("sessions_per_unit", rows)
            self.assertEqual("ceil(" in rows["kv_group_1_bytes"], kv == "nvfp4")

    def random_answers(self, seed, count):
        """Tantas respostas a perguntas de todo tipo, as que têm resposta."""
        generator, found = random.Random(seed), 0
        while found < count:
            question = any_question(generator)
            with contextlib.suppress(SizingError):
                if question:
                    result = answer(question)
                    found += 1
                    yield result

    def test_ao_acaso(self):
        """Perguntas ao acaso de todo tipo: cada conta fecha, e a página repete o que diz o JSON"""
        seen = collections.Counter()
        for result in self.random_answers(18, rounds(1000, 60)):
            figures = figures_of(result)
            self.check(vars(result.question), figures)
            seen.update(row["name"] for row in figures)
            seen.update((result.asks, result.limited_by, result.unit > 1))
            page = plain_page_of(result)
            with self.subTest(page=page):
                self.assertLessEqual(len(page), 25)
                self.assertLessEqual(max(map(len, page)), 80)
                self.stated(result, figures)
        for name in ("nodes", "sessions", "context", "load", "plan", "engine_memory", "tpot",
                     "ttft", True, "objective_sessions", "kept_tpot_high_ms", "next_ttft_ms",
                     "full_latency_seconds", "sessions_in_progress", "replica_sessions"):
            self.assertGreater(seen[name], 2, name)

    def stated(self, result, figures):
        """Todo número dos parágrafos é um dos que o JSON traz, por extenso."""
        document = json.loads(json.dumps(document_of(result)))
        results, speed = document["results"], document["performance"] or {}
        known = set(numbers_in([document, [row["value"] for row in figures]]))
        spares = results["nodes_per_unit"] * {"none": 0, "n+1": 1, "n+2": 2}[
            document["parameters"]["ha_mode"]]
        known |= {spares, results["nodes_with_headroom"] + spares, *unseen_of(result)}
        known |= {float(number) for row in figures
                  for number in re.findall(r"\d+(?:\.\d+)?", row["numbers"])}
        for figure in (speed.get("tpot_ms"), speed.get("ttft_ms")):
            if figure:
                known |= {figure[end] / figure["estimate"] for end in ("low", "high")}
        texts = {text for value in known for text in written(value)}
        for text in paragraphs_of(result):
            for name in (document["model"]["name"], document["server"]["product"] or "", "1º",
                         "P95", "de 80%", "percentil 99", "acima de 32768"):
                text = text.replace(name, "")
            if text.startswith(("Motor", "Pergunta")):  # tp 8, kv fp8
                text = re.sub(r"[a-z]+ ?\d+\)|n?[a-z]+\d+|N\+\d", "", text)
            if text.startswith("Medido"):
                text = re.sub(r"pesos \w+", "", text)
            text = re.sub(r"\w+_\w+", "", text)  # um campo do catálogo
            for number in re.findall(r"\d+(?:\.\d+)?", text):
                self.assertTrue(number in texts, (number, text))

    def test_comentarios(self):
        """Os comentários da linha do motor também cabem em 80 colunas, por mais que falte"""
        model = {name: value for name, value in listed("models", "deepseek-r1").items()
                 if name not in ("num_attention_heads", "moe_intermediate_size", "vocab_size",
                                 "weights_dense_bytes")}
        rows = ((entry_of("models", model), "dgx200", {}, "num_attention_heads"),
                ("deepseek-r1", "dgx-h100", {}, "acrescente --headless"),
                ("llama-3.1-8b", "gb200-nvl72", {"tensor_parallel": 2}, "processos por nó"),
                ("deepseek-r1", "dgx200", {"disaggregated": "yes"}, "NIXL_SIDE_CHANNEL_HOST"))
        for name, server, changes, words in rows:
            text = explanation_of(answer(asking(name, server, 50, 8192, **changes)))[1]
            self.assertLessEqual(max(map(len, text.splitlines())), 80, text)
            self.assertIn(words, " ".join(text.replace("\n# ", " ").split()))

    def test_pagina(self):
        """A página da pergunta de sempre, de objetivos, de taxa e sem teto, por extenso"""
        bare = {name: value for name, value in listed("servers", "dgx300").items() if name in (
            "name", "gpus", "total_hbm_gb", "hbm_per_gpu_gb", "source", "notes")}
        rows = (
            (dict(BASE, ha="n+1"), [
                "Pergunta: quantos DGX B300 para 1000 sessões de opt-oss-120b (pesos mxfp4, KV fp8)"
                ", com 20% de pico e reserva N+1.",
                "Limite: o plano, com 613 sessões por nó (motor: {ceiling_sessions}).",
                "KV: uma sessão guarda 2.2522 GiB; 1000 sessões, 2.1994 TiB.",
                "Nós: 1000 sessões, a 613 por nó: 2; com o pico, 2; com 1 de reserva, 3.",
                "Convenção (há flags): 70% e 120 GiB do plano, 90% do motor, pico, reserva."]),
            ({"model": "llama-3.1-70b", "server": "dgx200", "concurrency": 300,
              "weights_precision": "fp8", "cached_tokens": 4000, "input_tokens": 2000,
              "output_tokens": 400, "min_tokens_per_second": 25}, [
                "Sessão: 6400 tokens, a soma do pedido; por pedido, 4000 em cache, 2000 novos e "
                "400 gerados.",
                "Limite: a velocidade, com {sessions_per_unit} sessões por nó (plano: 630; motor: "
                "{ceiling_sessions}).",
                "Objetivos: com {kept_per_replica} sessões na réplica, TPOT de {kept_tpot_ms:.3g} "
                "ms (limite 40); com uma a mais, {next_tpot_ms:.3g} ms; {kept_per_replica} × "
                "{replicas_per_node} = {sessions_per_unit}.",
                "Velocidade: até {replica_sessions} sessões por réplica, "
                "{tpot_ms:.3g} ms por token (TPOT), {prefill_interference:.3g} de prefill dos "
                "outros pedidos: "
                "{session_rate:.3g} tokens/s; 1º token em {ttft_s:.3g} s, P95 "
                "{p95_s:.3g} s.",
                "Medido: HBM que o driver mostra (fontes: as notas); pesos fp8 só contados.",
                "Previsto: tempos e memória. Faixa de 80%: TPOT × 0.83 a 1.24 "
                "({low:.3g} a {high:.3g} ms), TTFT × 0.76 a 2.6."]),
            ({"model": "llama-3.1-70b", "server": "dgx200", "requests_per_second": 12,
              "effective_context": "64k", "confidence": "90%", "weights_precision": "fp8"}, [
                "Falha: um nó que cai interrompe {interrupted_sessions} sessões e volta em ~2.28 "
                "min. Com 1 queda, {nodes_after_failure} nós no ar; a taxa pede {nodes_minimum}, e "
                "o pico, {nodes_with_headroom}.",
                "Nós: 12 pedidos/s × {full_latency_seconds:.4g} s de latência (ponta ruim) = "
                "{planned_sessions:.0f} sessões, a {full_sessions} por nó ({full_per_replica} por "
                "réplica): {nodes_minimum}; com o pico, {nodes_with_headroom}."]),
            (dict(BASE, nodes=3, ha="n+1", concurrency=None), [
                "Pergunta: quantas sessões de opt-oss-120b (pesos mxfp4, KV fp8) 3 × DGX B300 "
                "mantêm, com 20% de pico e reserva N+1.",
                "Nós: 3 menos 1 de reserva, a 613 por nó e com o pico à parte: 1021 sessões."]))
        for question, sentences in rows:
            question = {name: value for name, value in question.items() if value is not None}
            document = json.loads(self.ok(*flags(question), "--explain", "--json"))
            speed, plain = document["performance"], document["explanation"]["plain"]
            names = {row["name"]: row["value"] for row in document["explanation"]["figures"]}
            names.update(document["results"], low=speed["tpot_ms"]["low"],
                         replicas_per_node=document["engine"]["replicas_per_node"],
                         ttft_s=names.get("ttft_ms", 0) / 1000,
                         p95_s=names.get("ttft_p95_ms", 0) / 1000, high=speed["tpot_ms"]["high"],
                         nodes_after_failure=document["ha_plan"]["nodes_after_failure"],
                         full_sessions=names.get("full_per_replica", 0) * document["engine"][
                             "replicas_per_node"])  # sem as que sobram da divisão
            for sentence in sentences:
                self.assertIn(sentence.format(**names), plain)
            self.assertEqual(bool(speed["extrapolated"]), "Fora do medido" in plain[-1])
            text = self.ok(*flags(question), "--explain").split("\nAs contas")[0]
            headline, *_ = self.ok(*flags(question)).splitlines()
            self.assertTrue(headline.startswith(text.splitlines()[0]), text)
            self.assertEqual(" ".join(text.split()).split("Pergunta: ")[1], " ".join(
                document["explanation"]["plain"]).split("Pergunta: ")[1])
        with temporary_file({"servers": [dict(bare, name="caixa")]}) as path:
            text = " ".join(self.ok(*flags(dict(BASE, server="caixa", servers_file=path)),
                                    "--explain").split())
        self.assertIn("Motor: sem teto, falta no catálogo hbm_usable_gib_per_gpu; só o plano "
                      "limita.", text)

    def test_objetivos(self):
        """As sessões dos objetivos são as maiores em que o tempo, com a margem, fica no limite"""
        rag = {"model": "llama-3.1-70b", "server": "dgx200", "concurrency": 300,
               "weights_precision": "fp8", "cached_tokens": 4000, "input_tokens": 2000,
               "output_tokens": 400}
        cases = (({"min_tokens_per_second": 25}, "tpot", "tpot_limit_ms"),
                 ({"max_tpot_ms": 40, "confidence": "90%"}, "tpot", "tpot_limit_ms"),
                 ({"max_ttft_ms": 270, "tensor_parallel": 2}, "ttft", "max_ttft_ms"))
        for objective, name, limit in cases:
            document = json.loads(self.ok(*flags(dict(rag, **objective)), "--explain", "--json"))
            rows = {row["name"]: row["value"] for row in document["explanation"]["figures"]}
            results, edge = document["results"], "_high_ms" if "confidence" in objective else "_ms"
            self.assertEqual(results["limited_by"], name)
            self.assertLessEqual(rows["kept_" + name + edge], rows[limit])
            self.assertGreater(rows["next_" + name + edge], rows[limit])
            self.assertEqual(rows["objective_sessions"], results["sessions_per_unit"])
            self.assertEqual(rows["next_per_replica"], rows["kept_per_replica"] + 1)
            factor = document["performance"]["tpot_ms"]
            if "confidence" in objective:
                self.assertAlmostEqual(rows["kept_tpot_high_ms"] / rows["kept_tpot_ms"],
                                       factor["high"] / factor["estimate"], places=6)
        rate = dict(rag, requests_per_second=30, confidence="90%")
        del rate["concurrency"]
        figures = json.loads(self.ok(*flags(rate), "--explain", "--json"))["explanation"]["figures"]
        latency = next(row for row in figures if row["name"] == "full_latency_seconds")
        self.assertIn("ponta ruim", latency["label"])
        self.assertIn("latency_margin", latency["formula"])

    def test_contas(self):
        """Cada conta, com os números no lugar dos nomes, dá o valor que se mostra"""
        for question in self.QUESTIONS:
            document = json.loads(self.ok(*flags(question), "--explain", "--json"))
            figures = document["explanation"]["figures"]
            self.assertGreater(len(figures), 20, question)
            self.assertEqual(len({row["name"] for row in figures}), len(figures))
            self.check(question, figures)
            shown = {row["name"]: row["value"] for row in figures}
            for name in ("kv_per_session_bytes", "nodes_minimum", "nodes_with_headroom"):
                self.assertEqual(shown[name], document["results"][name], (question, name))
            self.assertEqual(document, dict(json.loads(self.ok(*flags(question), "--json")),
                                            explanation=document["explanation"]))

    def test_texto(self):
        """Em 80 colunas: as contas, os leiautes, o que mudaria, todos os avisos e o comando"""
        for question in self.QUESTIONS:
            text = self.ok(*flags(question), "--explain")
            self.assertLessEqual(max(map(len, text.splitlines())), 80)
            for part in ("KV de uma sessão: ", "Leiautes: ", "O que mudaria a resposta",
                         "Para pôr no ar"):
                self.assertIn(part, text)
            for warning in json.loads(self.ok(*flags(question), "--json"))["warnings"]:
                self.assertIn("! " + warning, " ".join(text.split()))

    def test_o_que_mudaria(self):
        """Pesos, KV, servidor seguinte, metade do contexto: as respostas das perguntas"""
        document = json.loads(self.ok(*flags(dict(BASE, ha="n+1")), "--explain", "--json"))
        larger = sorted((server["total_hbm_gb"], server["name"])
                        for server in catalogue("servers")["servers"]
                        if server["total_hbm_gb"] > document["server"]["total_hbm_gb"])
        shown = {item["change"]: item["answer"]
                 for item in document["explanation"]["alternatives"]}
        expected = {change: self.sized(**dict({"ha": "n+1"}, **changes))["results"]["nodes_final"]
                    for change, changes in {
                        "pesos bf16": {"weights_precision": "bf16"},
                        "KV fp16": {"kv_precision": "fp16"},
                        "GB200 NVL72": {"server": larger[0][1]},
                        "contexto 65536": {"effective_context": 65536}}.items()}
        self.assertEqual(shown, expected)
        line = re.search("\nMudaria +(.*)\n", self.ok(*flags(dict(BASE, ha="n+1"))))[1]
        # na tela, só as que mudam a resposta
        self.assertEqual([part.split(": ")[0] for part in line.split(" · ")],
                         [change for change, nodes in shown.items() if nodes != 3])
        for part in line.replace(" nós", "").split(" · "):
            change, nodes = part.split(": ")
            self.assertEqual(expected[change], int(nodes))

        def next_server(answers, change="GB200 NVL72"):
            return next((row["answer"] for row in answers["explanation"]["alternatives"]
                         if row["change"] == change), None)

        # nele o leiaute é livre
        narrow = {"model": "deepseek-v3", "effective_context": "32k", "concurrency": 5000}
        answered = json.loads(self.ok(*flags(dict(BASE, tensor_parallel=4, **narrow)),
                                      "--explain", "--json"))
        free = self.sized(server="gb200-nvl72", **narrow)
        tied = self.sized(server="gb200-nvl72", tensor_parallel=4, **narrow)
        wide = next_server(answered, "GB200 NVL72, tp auto")
        self.assertEqual(wide, free["results"]["nodes_final"])
        self.assertNotEqual(wide, tied["results"]["nodes_final"])
        self.assertIsNone(next_server(answered))
        # e um TPOT medido neste não vale em outro, que então não se oferece
        timed = dict(BASE, concurrency=10000, max_tpot_ms=60, calibrate_tpot_ms="100@60")
        answered = json.loads(self.ok(*flags(timed), "--explain", "--json"))
        changes = [row["change"] for row in answered["explanation"]["alternatives"]]
        self.assertTrue(changes)
        self.assertNotIn("GB200", " ".join(changes))
        # o prefixo comum continua comum com o resto em cache
        common = {"model": "llama-3.3-70b", "weights_precision": "fp8", "server": "dgx-b200",
                  "concurrency": 400, "effective_context": "32k", "max_tpot_ms": 60,
                  "shared_prefix_tokens": 20000}
        cached = self.sized(input_tokens=1024, **common)["results"]["nodes_final"]
        answered = json.loads(self.ok(*flags(common), "--explain", "--json"))
        self.assertEqual(next_server(answered, "prefixo em cache"), cached)
        del common["shared_prefix_tokens"]
        self.assertLess(cached, self.sized(input_tokens=1024, **common)["results"]["nodes_final"])
        # em metade do contexto esta entrada não caberia
        entry = json.loads(self.ok(*flags(dict(BASE, input_tokens=100000)), "--explain", "--json"))
        self.assertEqual([row["change"] for row in entry["explanation"]["alternatives"]], [
            "pesos bf16", "KV fp16", "n+1", "GB200 NVL72"])
        layouts = document["explanation"]["layouts"]
        self.assertEqual([(item["layout"], item["sessions"]) for item in layouts],
                         [("tp %d" % tp, min(613, item["ceiling_sessions"]))
                          for tp, item in zip((8, 4, 2, 1), layouts)])

    def test_comando(self):
        """O comando do motor realiza o leiaute: tp, dp, várias réplicas, vários nós, precisão"""
        crowd = dict(BASE, effective_context=64, tensor_parallel=8)
        many = self.sized(**crowd)["results"]["sessions_per_unit"]
        self.assertGreater(many, 16384)  # mais que os tokens por passo deste servidor
        ranks = {"model": "deepseek-r1", "server": "dgx200", "effective_context": "32k",
                 "pipeline_parallel": 1}
        each = json.loads(self.ok(*flags(ranks), "--json"))["results"]["sessions_per_unit"]
        rows = (
            (dict(BASE), ["vllm serve openai/gpt-oss-120b", "--tensor-parallel-size 8",
                          "--max-model-len 131072", "--kv-cache-dtype fp8",
                          "--gpu-memory-utilization 0.9", "--max-num-seqs 613",
                          "--max-num-batched-tokens 16384"]),
            (dict(BASE, kv_precision="bf16"), ["--kv-cache-dtype bfloat16"]),
            (dict(BASE, kv_precision="fp16"), ["--kv-cache-dtype bfloat16"]),
            (dict(BASE, kv_precision="nvfp4"), ["--kv-cache-dtype nvfp4"]),
            ({"model": "glm-5", "server": "dgx-b200", "kv_precision": "bf16",
              "effective_context": "8k", "weights_precision": "fp8"},
             ["--kv-cache-dtype bfloat16"]),
            (crowd, ["--max-num-seqs %d --max-num-batched-tokens %d" % (many, many)]),
            (dict(BASE, max_num_seqs=64, max_num_batched_tokens="4k"),
             ["--max-num-seqs 64", "--max-num-batched-tokens 4096"]),
            (dict(BASE, tensor_parallel=8, pipeline_parallel=2),
             ["--tensor-parallel-size 8", "--pipeline-parallel-size 2", "--nnodes 2",
              "--node-rank $N", "--master-addr IP_DO_NÓ_0", "--headless"]),
            (ranks, ["--tensor-parallel-size 1", "--data-parallel-size 8 --enable-expert-parallel",
                     "--max-num-seqs %d " % -(-each // 8)]),
            ({"model": "llama-3.1-8b", "server": "dgx200", "tensor_parallel": 2,
              "effective_context": "8k"},
             ["CUDA_VISIBLE_DEVICES=0,1", "4 processos por nó", "--port 8000"]),
            ({"model": "llama-3.1-70b", "server": "dgx200", "weights_precision": "fp8"},
             ["--quantization fp8"]),
            ({"model": "llama-3.1-405b", "server": "dgx-a100", "nodes": 8, "tensor_parallel": 8,
              "pipeline_parallel": 4, "effective_context": "8k"},
             ["--nnodes 4", "--node-rank $N"]),
            ({"model": "kimi-k2", "server": "dgx-h100", "nodes": 8, "effective_context": "8k"},
             ["--data-parallel-address IP_DO_NÓ_0", "--data-parallel-size-local 8", "--headless",
              "--data-parallel-start-rank $((N*8))", "--trust-remote-code"]),
            (dict(BASE, weights_precision="fp8"), ["# pesos em fp8: use um checkpoint nesta"]),
            (dict(BASE, kv_precision="int8"), ["--kv-cache-dtype int8_per_token_head"]))
        for question, words in rows:
            text = self.ok(*flags(question), "--explain").split("Para pôr no ar")[1]
            text = " ".join(text.replace("\\\n", " ").split())
            for word in words:
                self.assertIn(word, text, question)
        self.assertNotIn("CUDA_VISIBLE_DEVICES", self.ok(*flags(BASE), "--explain"))
        self.assertNotIn("--quantization", self.ok(*flags(BASE), "--weights-precision=fp8",
                                                   "--explain"))

    def test_cenarios(self):
        """Mínimo, recomendado e ideal: as respostas das perguntas e o que cada um aguenta"""
        documents = json.loads(self.ok(*flags(BASE), "--scenarios", "--json"))
        self.assertEqual([item.pop("scenario") for item in documents],
                         ["mínimo", "recomendado", "ideal"])
        self.assertEqual(documents, [
            self.sized(peak_headroom_ratio=0), self.sized(ha="n+1"),
            self.sized(ha="n+2", peak_headroom_ratio="30%", kv_budget_ratio="0.65")])
        covered = [item["ha_plan"]["failures_covered_peak"] for item in documents]
        self.assertEqual(covered, [0, 1, 2])
        rows = table_rows(self.ok(*flags(BASE), "--scenarios"))
        self.assertEqual([row["nós"] for row in rows], ["2", "3", "5"])
        self.assertEqual([row["quedas cobertas"] for row in rows],
                         ["pico 0, nominal 0", "pico 1, nominal 1", "pico 2, nominal 3"])
        given = json.loads(self.ok(*flags(dict(BASE, peak_headroom_ratio="40%",
                                               kv_budget_ratio="0.5")), "--scenarios", "--json"))
        self.assertEqual([(item["parameters"]["peak_headroom_ratio"],
                           item["parameters"]["kv_budget_ratio"]) for item in given],
                         [(0, 0.5), (0.4, 0.5), (0.4, 0.5)])
        held = table_rows(self.ok("--model=opt-oss-120b", "--server=dgx300", "--nodes=4",
                                  "--scenarios"))
        self.assertEqual([row["mantém"] for row in held], ["2452", "1532", "870"])
        self.assertEqual(len(csv_rows(self.ok(*flags(BASE), "--scenarios", "--csv"))), 3)
        self.refused([*flags(dict(BASE, ha="n+1")), "--scenarios"], "--scenarios", "--ha")


class Page(html.parser.HTMLParser):
    """Uma página de --html como um navegador a lê: etiquetas, atributos e textos."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.problems = [], [], []  # tags: [nome, atributos, texto]
        self.feed(text)
        self.close()
        self.problems += ["não fechada: " + tag[0] for tag in self.open]

    def handle_starttag(self, name, attributes):
        element = [name, dict(attributes), ""]
        if len(element[1]) < len(attributes):
            self.problems.append("atributo repetido: " + name)
        self.tags.append(element)
        if name != "meta":
            self.open.append(element)

    def handle_endtag(self, name):
        if not self.open or self.open[-1][0] != name:
            self.problems.append("fora de ordem: " + name)
        else:
            self.open.pop()

    def handle_data(self, text):
        for element in self.open:
            element[2] += text

    def named(self, name, **attributes):
        """Os elementos com este nome e estes atributos: (atributos, texto)."""
        return [(given, text) for tag, given, text in self.tags if tag == name
                and all(given.get(key.rstrip("_")) == value for key, value in attributes.items())]

    def inside(self, kind):
        """Os elementos do gráfico cujo título tem este `id`, na ordem."""
        first = next(index for index, (tag, given, _) in enumerate(self.tags)
                     if tag == "title" and given.get("id") == kind + "-titulo")
        rest = self.tags[first:]
        end = next((index for index, (tag, _, _) in enumerate(rest) if tag == "ul"), len(rest))
        return rest[:end]


class Drawing:
    """Um gráfico lido ao contrário: do desenho, pelos números dos eixos, aos valores."""

    def __init__(self, page, kind):
        self.tags = page.inside(kind)
        labels = [(float(given["x"]), float(given["y"]), given["text-anchor"], text)
                  for tag, given, text in self.tags if tag == "text" and "text-anchor" in given]
        rows = [(y - 4, float(text)) for _, y, side, text in labels[1:] if side == "end"]
        columns = [(x, float(text)) for x, _, side, text in labels[1:] if side == "middle"]
        (y0, low), (y1, high) = rows[0], rows[-1]
        (x0, left), (x1, right) = columns[0], columns[-1]
        assert low == left == 0, (rows, columns)
        self.pixel = (right / (x1 - x0), high / (y0 - y1))  # o que vale um ponto do desenho
        self.origin = x0, y0

    def values(self, x, y):
        return (x - self.origin[0]) * self.pixel[0], (self.origin[1] - y) * self.pixel[1]

    def marks(self, kind):
        """Os centros das marcas desta classe, em valores."""
        found = []
        for tag, given, _ in self.tags:
            if given.get("class") == kind and tag in ("circle", "rect"):
                half = float(given.get("width", 0)) / 2
                x, y = (float(given.get("c" + axis) or given.get(axis)) + half for axis in "xy")
                found.append(self.values(x, y))
        return found

    def path(self, kind):
        (data,) = [given["d"] for tag, given, _ in self.tags
                   if tag == "path" and given.get("class") == kind]
        return [self.values(*map(float, point.split())) for point in data[1:].split("L")]


SORTED = ("rack_units", "tpot_ms")


@functools.lru_cache(maxsize=None)  # os testes leem as mesmas páginas, sem mudá-las
def page_of(*args):
    """(status, erros, página) de uma execução."""
    done = run(*args, "--html")
    return done.returncode, done.stderr, Page(done.stdout)


class PaginaHtml(Case):
    """--html"""

    RAG = {"model": "llama-3.3-70b", "server": "dgx200", "concurrency": 300,
           "cached_tokens": 4000, "input_tokens": 2000, "output_tokens": 400, "ha": "n+1",
           "min_tokens_per_second": 25, "max_ttft_ms": 2000}
    QUESTIONS = (
        dict(BASE, ha="n+1"), RAG, dict(BASE, max_tpot_ms=30, node_price=500000, years=3),
        {"model": "opt-oss-20b", "server": "dgx200", "nodes": 2},
        {"model": "opt-oss-20b", "server": "dgx200", "nodes": 2, "concurrency": 900},
        {"model": "opt-oss-20b", "server": "dgx200", "nodes": 5, "concurrency": 900,
         "effective_context": "8k"},
        {"model": "gpt-oss-20b", "server": "dgx200", "requests_per_second": 7,
         "effective_context": "8k"},
        {"model": "deepseek-r1", "server": "dgx-a100", "concurrency": 10,
         "effective_context": "32k"},  # réplicas de vários nós
        {"model": "gpt-oss-20b", "server": "dgx200", "concurrency": 10**29},
        {"model": "gpt-oss-20b", "server": "l40s-8x", "concurrency": 1, "effective_context": 1},
        {"model": "opt-oss-120b", "server": "dgx300", "concurrency": 1000,
         "context_mix": "8k:70%,32k:25%,128k:5%", "shared_prefix_tokens": "2k"})

    def page(self, question, *args):
        status, errors, page = page_of(*flags(question), *args)
        self.assertEqual((0, ""), (status, errors))
        return page

    def assert_sound(self, page):
        """Etiquetas fechadas em ordem, gráficos com nome, tabelas com títulos, nada de fora."""
        self.assertEqual([], page.problems)
        names = {name for name, _, _ in page.tags}
        self.assertFalse(names & {"script", "link", "img", "a", "iframe", "object", "base"}, names)
        for name, given, text in page.tags:
            alien = [key for key in given if key.startswith("on") or key in (
                "src", "href", "style", "xlink:href", "action")]
            self.assertEqual([], alien, name)
            self.assertNotRegex(text if name == "style" else "", r"@import|url\(|//")
        ids = [given["id"] for _, given, _ in page.tags if "id" in given]
        self.assertEqual(len(ids), len(set(ids)))
        for given, _ in page.named("svg", role="img"):
            self.assertLessEqual(set(given["aria-labelledby"].split()), set(ids))
        for given, _ in page.named("th"):
            self.assertIn(given.get("scope"), ("row", "col"))
        self.assertEqual("pt-BR", page.named("html")[0][0]["lang"])
        self.assertEqual(1, len(page.named("h1")))

    def test_bem_formada(self):
        """Toda pergunta dá uma página bem formada, acessível e que nada busca fora dela"""
        for question in self.QUESTIONS:
            with self.subTest(question):
                self.assert_sound(self.page(question))

    def test_sem_teto(self):
        """Sem os dados do teto e da velocidade, a página diz o que falta no lugar dos gráficos"""
        servers = catalogue("servers")
        server = listed("servers", "dgx300", servers)
        for name in ("hbm_usable_gib_per_gpu", "hbm_bandwidth_tbps", "power_kw", "rack_units"):
            server.pop(name)
        with temporary_file({"servers": [server]}) as path:
            page = self.page(BASE, "--servers-file", path)
        self.assert_sound(page)
        self.assertEqual(1, len(page.named("svg", role="img")))
        texts = [text for _, text in page.named("p")]
        self.assertTrue(any("hbm_usable_gib_per_gpu" in text for text in texts), texts)

    def test_mesmos_numeros(self):
        """A página mostra o que o JSON diz: contas, metas, avisos, HBM e o número de nós"""
        for question in self.QUESTIONS:
            with self.subTest(question):
                page = self.page(question)
                document = json.loads(run(*flags(question), "--json", "--explain").stdout)
                body = page.named("body")[0][1]
                for warning in document["warnings"]:  # o risco, sem o código, junto das metas
                    text = re.sub("objective_at_risk: (.*Com )?", r"\1", warning)
                    self.assertIn(text.split(" Com ")[0], body)
                codes = [text for _, text in page.named("code")]
                figures = document["explanation"]["figures"]
                self.assertEqual([row["name"] + " = " * bool(row["formula"]) + row["formula"]
                                  for row in figures], codes)
                for row in figures:
                    self.assertIn(row["label"], body)
                    if isinstance(row["value"], int):
                        unit = row["unit"] if row["value"] != 1 else {
                            "nós": "nó", "sessões": "sessão", "tokens": "token"}.get(
                                row["unit"], row["unit"])
                        self.assertIn("%d %s" % (row["value"], unit), body)
                for number in ("nodes_minimum", "nodes_with_headroom", "nodes_final"):
                    self.assertRegex(body, r"\b%d n" % document["results"][number])
                for case in shown_of(document):
                    rate = "%.3g" % case["output_tokens_per_second_per_session"]
                    self.assertIn(rate.partition("e")[0], body)

    def test_tela(self):
        """A página tem, palavra por palavra, a primeira tela do relatório em texto"""
        for question in self.QUESTIONS:
            with self.subTest(question):
                page, text = self.page(question), run(*flags(question)).stdout
                words = " ".join(page.named("body")[0][1].split()) + " " + " ".join(
                    tag[2] for tag in page.tags)
                known = {word.rstrip(":;,") for word in words.replace("\u00a0", " ").split()}
                lines = [line for line in text.splitlines()[:-1]
                         if not line.startswith(("[", "HBM por nó", "! "))]
                missing = {word for line in lines for word in line.split()
                           if word.rstrip(":;,") not in known}
                self.assertLessEqual(missing, {"·", "--explain", "Contas:"}, text)

    def test_nos_pela_carga(self):
        """Os degraus sobem onde a unidade enche; a carga, o pico e a resposta estão marcados"""
        for question in (dict(BASE, ha="n+1"), self.RAG, self.QUESTIONS[3], self.QUESTIONS[7]):
            with self.subTest(question):
                results = json.loads(run(*flags(question), "--json").stdout)
                load, results = results["parameters"]["concurrency"], results["results"]
                drawing = Drawing(self.page(question), "nos")
                x, y = (2 * value for value in drawing.pixel)  # a precisão do desenho
                expected = {"dot": (load, results["nodes_minimum"]),
                            "ring": (results["peak_sessions"], results["nodes_with_headroom"]),
                            "box": (results["peak_sessions"], results["nodes_final"])}
                for kind, (sessions, nodes) in expected.items():
                    ((at, height),) = drawing.marks(kind)
                    self.assertAlmostEqual(sessions, at, delta=x)
                    self.assertAlmostEqual(nodes, height, delta=y)
                unit, full = results["nodes_per_unit"], results["sessions_per_unit"]
                for index, (at, height) in enumerate(drawing.path("curve")):
                    self.assertAlmostEqual((index + 1) // 2 * full, at, delta=x)
                    self.assertAlmostEqual((index // 2 + 1) * unit, height, delta=y)

    def test_velocidade_pela_carga(self):
        """As marcas são as cargas do JSON, estão na curva, e a faixa e o objetivo as cercam"""
        rate = "output_tokens_per_second_per_session"
        for question in (dict(BASE, ha="n+1"), self.RAG, dict(BASE, max_tpot_ms=300)):
            with self.subTest(question):
                document = json.loads(run(*flags(question), "--json").stdout)
                replicas = document["engine"]["replicas_per_node"]
                drawing = Drawing(self.page(question), "velocidade")
                x, y = (2 * value for value in drawing.pixel)
                found = [point for kind in ("dot", "ring", "box") for point in drawing.marks(kind)]
                cases = shown_of(document)
                self.assertEqual(len(cases), len(found))
                for case in cases:
                    point = case["sessions_per_replica"] * replicas, case[rate]
                    self.assertTrue(any(abs(at - point[0]) < x and abs(height - point[1]) < y
                                        for at, height in found), (point, found))
                new = cases[0]["input_tokens"]
                curve, band = drawing.path("curve"), drawing.path("curve band")
                self.assertEqual(band[0][0], band[-1][0])  # o contorno vai e volta
                for case in (case for case in cases if case["input_tokens"] == new):
                    at = case["sessions_per_replica"] * replicas
                    self.assertAlmostEqual(case[rate], interpolated(curve, at), delta=3 * y)
                    for edge, half in (("high", band[:len(curve)]), ("low", band[len(curve):])):
                        self.assertAlmostEqual(case[rate + "_range"][edge],
                                               interpolated(sorted(half), at), delta=3 * y)
                goal = question.get("min_tokens_per_second") or 1e3 / question.get(
                    "max_tpot_ms", math.inf)
                if goal:
                    for _, height in drawing.path("goal"):
                        self.assertAlmostEqual(goal, height, delta=y)

    def test_hbm(self):
        """As partes da barra somam a HBM visível e batem com as do JSON"""
        for question in (dict(BASE, ha="n+1"), self.RAG, self.QUESTIONS[7]):
            with self.subTest(question):
                document = json.loads(run(*flags(question), "--json").stdout)
                page = self.page(question)
                bars = [given for tag, given, _ in page.inside("hbm") if tag == "rect"]
                edges = [float(given["x"]) for given in bars] + [360.0]
                for given, start, end in zip(bars, edges, edges[1:]):
                    self.assertAlmostEqual(float(given["width"]), end - start, delta=0.11)
                engine, gpus = document["engine"], document["server"]["gpus"]
                whole = engine["hbm_usable_gib_per_gpu"]
                for given, name in zip(bars, ("weights_gib_per_gpu", "runtime_gib_per_gpu")):
                    self.assertAlmostEqual(engine[name] / whole * 360, float(given["width"]),
                                           delta=0.11)
                description = page.named("desc", id="hbm-texto")[0][1]
                parts = [int(number) for number in re.findall(r"(\d+) GiB", description)]
                self.assertEqual(round(engine["weights_gib_per_gpu"] * gpus), parts[0])
                self.assertAlmostEqual(whole * gpus, sum(parts), delta=3)

    HOSTILE = "\"'></title></style><b onclick=x>A & B</b> &lt;i&gt; <!-- ]]>"

    def test_nada_injeta_marcacao(self):
        """Um texto de catálogo com marcação aparece como texto, e a página continua a mesma"""
        plain = self.page(BASE)
        tags = [(name, sorted(given)) for name, given, _ in plain.tags]
        with contextlib.ExitStack() as stack:
            args = []
            for kind, name in (("models", BASE["model"]), ("servers", BASE["server"]),
                               ("storage", "profile_default")):
                entry = dict(listed(kind, name), notes=self.HOSTILE, source=self.HOSTILE)
                if kind == "servers":
                    entry["product"] = "Servidor " + self.HOSTILE
                path = stack.enter_context(temporary_file({ROOTS[kind]: [entry]}))
                args += ["--%s-file" % kind, path]
            page = self.page(BASE, *args)
        self.assert_sound(page)
        self.assertEqual([tag for tag, _ in tags if tag not in ("li", "tr", "td", "th")],
                         [tag for tag, _, _ in page.tags if tag not in ("li", "tr", "td", "th")])
        body = page.named("body")[0][1]
        self.assertEqual(8, body.count(self.HOSTILE))

    def test_comparacao(self):
        """A comparação inteira numa tabela, com as recusas, e a página é a da melhor linha"""
        question = {"model": "opt-oss-120b", "concurrency": 900,
                    "server": "dgx200,dgx300,dgx-spark",
                    "effective_context": "128k", "ha": "n+1"}
        for args in ((), ("--sort", "rack_units"), ("--sort", "tpot_ms"), ("--tensor-parallel", 8),
                     ("--node-price", "dgx200=1,dgx300=2")):
            with self.subTest(args):
                page = self.page(question, *args)
                self.assert_sound(page)
                rows = json.loads(run(*flags(question), *args, "--json").stdout)
                texts = [text for _, text in page.named("tr")]
                names = {row["server"]["name"]: row["server"]["product"] for row in rows}
                answers = {row["server"]["name"]: row["results"] for row in rows}
                for name, results in answers.items():
                    nodes = results["nodes_final"] if results else "-"
                    self.assertTrue(any(text.startswith("%s%s" % (names[name], nodes))
                                        for text in texts), (name, nodes, texts))
                reasons = [text for _, text in page.named("li") if text.startswith(
                    tuple(names[name] + ": " for name in names if not answers[name]))]
                self.assertEqual(len([row for row in rows if row.get("error")]), len(reasons))
                ((_, best),) = page.named("tr", class_="best")
                shown = next(name for name in names if best.startswith(names[name]))
                alone = [arg.replace("dgx200=1,dgx300=2", {"dgx200": "1", "dgx300": "2"}[shown])
                         for arg in map(str, args) if arg not in ("--sort", *SORTED)]
                single = self.page(dict(question, server=shown), *alone)
                self.assertEqual(single.named("h1"), page.named("h1"))
                self.assertEqual(single.named("code"), page.named("code"))

    def test_comparacao_sem_escolha(self):
        """Entre cenários, a página é a do recomendado; entre modelos, a do primeiro com resposta"""
        page = self.page(BASE, "--scenarios")
        self.assertEqual(self.page(BASE, "--ha=n+1").named("h1"), page.named("h1"))
        models = {"server": "dgx-spark,dgx300", "concurrency": 50, "effective_context": "32k",
                  "tensor_parallel": 8}
        page = self.page(dict(models, model="opt-oss-120b,opt-oss-20b"))
        alone = self.page(dict(models, model="opt-oss-120b", server="dgx300"))
        self.assertEqual(alone.named("p")[:3], page.named("p")[:3])  # com o nome do modelo
        done = run(*flags(dict(models, model="opt-oss-120b,opt-oss-20b", kv_budget_ratio="0.01")),
                   "--html")
        self.assertEqual((3, ""), (done.returncode, done.stdout))

    def test_ascii(self):
        """Onde a saída não leva acentos, eles vão como referências, e a página é a mesma"""
        done = process(*flags(BASE), "--html", env=utf8_environment(PYTHONIOENCODING="ascii"))
        self.assertTrue(done.stdout.isascii())
        self.assertEqual(Page(run(*flags(BASE), "--html").stdout).tags, Page(done.stdout).tags)

    def test_recusas(self):
        """--html não se combina com outra saída; uma recusa nada escreve na saída padrão"""
        for other in ("--json", "--csv", "--csv-excel", "--explain"):
            self.refused([*flags(BASE), "--html", other], "--html", other)
        for action in (("--list", "models"), ("--validate",), ("--version",)):
            self.refused([*action, "--html"], "--html", action[0])
        done = run(*flags(dict(BASE, kv_budget_ratio="0.01")), "--html")
        self.assertEqual((3, ""), (done.returncode, done.stdout))

    def test_custo(self):
        """As curvas custam poucas contas, e só a página carrega o que só ela usa"""
        code = ("import sys, sizing\nsizing.main(%r)\n"
                "sys.stderr.write(str('html' in sys.modules))")
        for view, loaded in (("--json", "False"), ("--html", "True")):
            # -S: um medidor de cobertura, que se instala em site, já teria carregado os seus
            done = subprocess.run([sys.executable, "-S", "-c", code % [*flags(BASE), view]],
                                  cwd=ROOT, capture_output=True, text=True,
                                  env=utf8_environment())
            self.assertEqual(loaded, done.stderr)
        calls = {}
        for view in ("--html", "--json"):
            calls[view] = 0

            def count(frame, event, value, view=view):
                calls[view] += event == "call" and frame.f_code.co_name == "performance_of"

            sys.setprofile(count)
            try:
                in_this_process([*flags(BASE), view])
            finally:
                sys.setprofile(None)
        self.assertLess(calls["--html"], calls["--json"] + 120)


def interpolated(points, at):
    """A altura de uma linha quebrada, de pontos em ordem, nesta abscissa."""
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        if x0 <= at <= x1 and x1 > x0:
            return y0 + (y1 - y0) * (at - x0) / (x1 - x0)
    return min(points, key=lambda point: abs(point[0] - at))[1]


class Desagregado(Case):
    """--disaggregated: prefill e decode em dois lotes de nós"""

    CHAT = {"model": "deepseek-r1", "server": "dgx300", "concurrency": 1000,
            "input_tokens": 4000, "output_tokens": 500, "max_tpot_ms": 30}
    COUNTS = ("nodes_minimum", "nodes_with_headroom", "nodes_final")

    def asked(self, mode="yes", **changes):
        """O JSON da pergunta com as mudanças."""
        asked = {name: value for name, value in dict(
            self.CHAT, disaggregated=mode, **changes).items() if value is not None}
        return json.loads(self.ok(*flags(asked), "--json"))

    def question(self, model="deepseek-r1", server="dgx300", **changes):
        """A pergunta, para as propriedades."""
        return asking(model, server, **{
            "concurrency": 1000, "context": None, "input_tokens": 4000, "output_tokens": 500,
            "disaggregated": "yes", **changes})

    def test_contas(self):
        """Cada conta de --explain fecha; o texto, a página e o JSON se escrevem"""
        mix = ((8192, Fraction(7, 10)), (32768, Fraction(3, 10)))
        rows = ({"max_tpot_ms": 30.0, "max_ttft_ms": 2000.0, "ha_mode": "n+1"},
                {"concurrency": None, "requests_per_second": Fraction(20), "max_tpot_ms": 30.0},
                {"concurrency": None, "requests_per_second": Fraction(20),
                 "max_ttft_ms": 9000.0, "confidence": sizing.CONFIDENT},
                {"concurrency": None, "nodes": 10, "max_tpot_ms": 30.0},
                {"nodes": 10, "concurrency": 90, "input_tokens": None},
                {"input_tokens": None, "context_mix": mix, "shared_prefix_tokens": 1000,
                 "concurrency": 300, "node_price": 4, "ha_mode": "n+2"},
                {"input_tokens": None, "context": 2, "output_tokens": None, "concurrency": 1})
        pairs = (("deepseek-r1", "dgx300"), ("llama-3.3-70b", "dgx-h100"),
                 ("kimi-k2", "dgx-h100"), ("gemma-3-27b", "l40s-8x"))
        for number, changes in enumerate(rows):
            for model, server in rounds(pairs, pairs[number % 2::2]):
                result = answer(self.question(model, server, **changes))
                figures = figures_of(result)
                Explicacao.check(self, changes, figures)
                names = [row["name"] for row in figures]
                self.assertEqual(len(names), len(set(names)))
                self.assertLessEqual({
                    "prefill_own_seconds", "prefill_alone_seconds", "transfer_seconds",
                    "queue_utilization", "service_ms",
                    "prefill_nodes_with_headroom", "prefill_most_utilization"}, set(names))
                block = document_of(result)["disaggregated"]
                self.assertTrue(block["taken"])
                for text in (sizing.text_report(result.internal), explanation_of(result)[1]):
                    self.assertLessEqual(max(map(len, text.splitlines())), 80, text)
                self.assertIn("Nós de decode", sizing.html_page(result.internal, []))

    def test_lotes(self):
        """Os nós são a soma dos lotes; uso, fila e TTFT, refeitos; a potência, de todos"""
        for changes in ({}, {"ha": "n+1"}, {"ha": "n+2", "max_ttft_ms": 900},
                        {"concurrency": None, "requests_per_second": 30},
                        {"input_tokens": 20000}):  # que em um lote só se cortaria em três
            document = self.asked(**changes)
            pools, results = document["disaggregated"], document["results"]
            prefill, decode, case = pools["prefill"], pools["decode"], document["performance"]
            for name in self.COUNTS:
                self.assertEqual(results[name], prefill[name] + decode[name])
            spares = int(changes.get("ha", "n+0")[-1])
            for pool in (prefill, decode):
                self.assertEqual(pool["nodes_final"] - pool["nodes_with_headroom"],
                                 spares * pool["nodes_per_unit"])
            self.assertEqual(document["physical"]["power_kw"], 15 * results["nodes_final"])
            self.assertEqual(case["nodes"], results["nodes_final"])
            rate, service = prefill["prompts_per_second"], prefill["service_seconds"]
            used = rate * service / prefill["replicas"]
            self.assertAlmostEqual(prefill["utilization"], used, places=6)
            self.assertAlmostEqual(case["queue_utilization"], used, places=6)
            calm = 1e3 * (prefill["alone_seconds"] + pools["transfer_seconds"]) + (
                1.5 * case["tpot_ms"]["estimate"])
            for name, late in (("ttft_ms", 0.5), ("ttft_p95_ms", 0.05)):
                wait = 1e3 * service / 2 / (1 - used) * math.log(max(1, used / late))
                self.assertAlmostEqual(case[name]["estimate"], calm + wait, places=3)
            self.assertEqual(case["breakdown_ms"]["prefill_interference"], 0)
            for state in document["performance"]["cases"]:
                if "failure" not in state["state"] or spares:
                    self.assertTrue(state["covered"], state)
                    self.assertLessEqual(state["queue_utilization"], 0.8)

    def test_minimo(self):
        """Um nó de prefill a menos passaria de 80% no pico; e o lote de decode também é o menor"""
        for concurrency in (300, 1000, 4000):
            pools = sizing.size(self.question(
                concurrency=concurrency, max_tpot_ms=30.0)).pools
            prefill, (_, peak, _) = pools.prefill, pools.prefill_nodes
            rate = pools.rate(prefill, sizing.DEFAULT_PEAK_HEADROOM_RATIO, pools.decode_nodes[2])
            used = [rate * prefill.service_seconds / prefill.replicas(nodes)
                    for nodes in (peak - 1, peak) if nodes]
            self.assertLessEqual(used[-1], 0.8)
            self.assertTrue(len(used) == 1 or used[0] > 0.8)
            full = pools.decode.sessions_per_unit
            self.assertEqual(pools.decode_nodes[1], -(-concurrency * 12 // 10 // full))
            self.assertLessEqual(pools.decode.speed.tpot_ms(full), 30)

    def test_mistura(self):
        """Numa mistura, a fila conta a variância: prompts desiguais esperam mais"""
        mix = ((2000, Fraction(1, 2)), (10000, Fraction(1, 2)))
        mixed = sizing.size(self.question(input_tokens=None, context_mix=mix)).pools
        layout = mixed.prefill.layout
        each = [sizing.Prefill(q, layout, sizing.speed_of(q, layout, 0)).service_seconds
                for q in (self.question(input_tokens=None, context=context) for context, _ in mix)]
        self.assertAlmostEqual(mixed.prefill.service_seconds, sum(each) / 2, places=9)
        speed = mixed.prefill.serving(mixed.decode.speed, 0.7)
        self.assertAlmostEqual(
            speed.wait_ms(1, "ttft"), 1e3 * sum(x**2 for x in each) / sum(each) / 2 / 0.3
            * math.log(1.4), places=6)

    def test_replica_mais_cheia(self):
        """O decode divide as sessões entre as réplicas, e basta um lote sem medidas para duvidar"""
        pools = sizing.size(self.question("opt-oss-20b", concurrency=1001)).pools
        self.assertEqual(pools.decode.replicas_per_unit, 8)
        self.assertEqual(pools.arrivals(0, pools.decode.nodes_per_unit), (1001, 126))
        # só o decode guarda as sessões; a frio, os nós dos dois lotes leem do mesmo storage
        slow = changed(in_catalogue("storage", "profile_network_ssd"), throughput_read_gbps=2)
        r = sizing.size(changed(self.question("opt-oss-20b", concurrency=5000), storage=slow))
        apart = sizing.size(self.question("opt-oss-20b", concurrency=5000))
        self.assertGreater(r.nodes_final, r.pools.decode_nodes[2])
        self.assertEqual(r.storage_plan["cold_start_seconds"],
                         sizing.load_seconds(r.question, r.nodes_final))
        self.assertEqual(apart.storage_plan["parked_sessions"],
                         -(-5000 // apart.pools.decode_nodes[2]))
        prefill, calm = pools.prefill, pools.decode.speed
        unsure = changed(prefill, speed=changed(prefill.speed, confident=True))
        for first, second, expected in ((prefill, False, False), (unsure, False, True),
                                        (prefill, True, True)):
            served = first.serving(changed(calm, confident=second), 0.1)
            self.assertEqual(served.confident, expected)

    def test_ttft(self):
        """Um limite mais apertado nunca compra menos; o prometido se cumpre; o impossível não"""
        free, bought = self.asked()["disaggregated"], []
        calm_ms = 1e3 * (free["prefill"]["alone_seconds"] + free["transfer_seconds"]) + 1.5 * 30
        for limit in (None, 8 * calm_ms, 3 * calm_ms, 1.5 * calm_ms, 1.2 * calm_ms, 1.05 * calm_ms):
            document = self.asked(max_ttft_ms=limit, ha="n+1")
            bought.append(document["disaggregated"]["prefill"]["nodes_with_headroom"])
            for item in document["objectives"]:
                self.assertNotEqual(item["verdict"], "missed")
        self.assertEqual(bought, sorted(bought))
        self.assertGreater(bought[-1], bought[0])
        self.assertEqual(document["disaggregated"]["prefill"]["limited_by"], "ttft")
        with self.assertRaisesRegex(SizingError, "um prompt em cálculo e outro em envio"):
            sizing.size(self.question("llama-3.3-70b", max_num_seqs=1))
        sizing.size(self.question("llama-3.3-70b", max_num_seqs=2))  # bastam os dois
        # o decode deixa ao prefill o seu tempo e, à fila, até outro tanto ou metade da folga
        question = self.question("llama-3.3-70b", "dgx200", concurrency=5000, max_ttft_ms=300.0,
                                 max_tpot_ms=60.0)
        pools = sizing.size(question).pools
        fastest = min(sizing.Prefill(question, offer.layout, sizing.speed_of(
            question, offer.layout, 0), pools.prefill.receiving_tp).first_seconds
            for offer in sizing.capacity_of(question).offers if offer.layout.measured)
        left = fastest + min(fastest, (0.3 - fastest) / 2)
        self.assertEqual((pools.decode.first_seconds, pools.decode.speed.alone_seconds),
                         (left, left))
        # o leiaute sem medidas, que compraria menos, não se toma se há outro
        self.assertTrue(sizing.size(self.question(
            "qwen3-next-80b", "l40s-8x", concurrency=None, requests_per_second=Fraction(100),
            input_tokens=500, output_tokens=50, confidence=sizing.CONFIDENT
        )).pools.prefill.layout.measured)
        self.refused(flags(dict(self.CHAT, disaggregated="yes", max_ttft_ms=60)),
                     "TTFT fora do alcance com o prefill separado; cabe com --max-ttft-ms ",
                     status=3)

    def test_envio(self):
        """O KV dos tokens novos vai pela rede; o vetor latente, inteiro a cada GPU do decode"""
        def sent(model, prefill_tp, decode_tp, **changes):
            question = self.question(model, "dgx-b200", kv_precision="fp8", **changes)
            layout = sizing.layout_of(question, sizing.replica_of(question, prefill_tp, 1, 1, 1))
            prefill = sizing.Prefill(question, layout, sizing.speed_of(question, layout, 0),
                                     decode_tp)
            return prefill.transfer_bytes, prefill.transfer_seconds

        heads, latent = (session_bytes(in_catalogue("models", model), 4000, "fp8")
                         for model in ("llama-3.1-70b", "deepseek-r1"))
        for prefill_tp, decode_tp, ratio in ((8, 8, 8), (8, 4, 4), (4, 8, 4), (8, 1, 1)):
            self.assertEqual(sent("llama-3.1-70b", prefill_tp, decode_tp)[0],
                             (heads, heads / ratio))
        for prefill_tp, decode_tp, copies in ((8, 8, 1), (8, 1, 1), (4, 8, 2)):
            self.assertEqual(sent("deepseek-r1", prefill_tp, decode_tp)[0],
                             (latent, latent * copies))
        bytes_per_second = 50 * sizing.GB * sizing.PREFILL_LINK_RATIO
        self.assertAlmostEqual(sent("deepseek-r1", 8, 8)[1], latent / bytes_per_second)
        cached = sent("deepseek-r1", 8, 8, cached_tokens=20000)[0]
        self.assertEqual(cached, (latent, latent))

    def test_sem_rede(self):
        """Sem a rede no catálogo não há dois lotes, e auto fica com um, dizendo por quê"""
        server = changed(in_catalogue("servers", "dgx300"), network_gbps_per_gpu=None)
        for changes in ({}, {"nodes": 1, "input_tokens": None, "output_tokens": None}):
            with self.assertRaisesRegex(SizingError, "falta no catálogo network_gbps_per_gpu"):
                sizing.size(self.question(server=server, **changes))
        result = sizing.size(self.question(server=server, disaggregated="auto"))
        self.assertIsNone(result.pools)
        block = sizing.pools_of_result(result)
        self.assertIn("network_gbps_per_gpu", block["other_refused"])
        self.assertIn("network_gbps_per_gpu", sizing.text_report(result).replace("\n", ""))

    def test_falhas(self):
        """Cai um nó em cada lote; sem reserva e com um só, o serviço para, e o aviso o diz"""
        document = self.asked(ha="n+1")
        plan, results = document["ha_plan"], document["results"]
        self.assertEqual(plan["nodes_after_failure"], results["nodes_final"] - 2)
        decode = document["disaggregated"]["decode"]
        self.assertEqual(plan["sessions_after_failure"],
                         (decode["nodes_final"] - 1) * decode["sessions_per_unit"])
        self.assertTrue(plan["covers_peak"] and plan["failures_covered_peak"] == 1)
        alone = self.asked(concurrency=5, max_tpot_ms=None)
        self.assertEqual((alone["results"]["nodes_final"], alone["ha_plan"]["nodes_after_failure"],
                          alone["ha_plan"]["sessions_after_failure"]), (2, 0, 0))
        self.assertIn("single_node", self.codes(alone))
        self.assertEqual({case["state"] for case in alone["performance"]["cases"]},
                         {"nominal", "peak"})
        held = dict(plan, meets_objectives=True)
        down = dict(held, nodes_after_failure=0, covers_concurrency=False)
        for pair in ((down, held), (held, down)):  # sem um dos lotes, nada se serve
            both = sizing.pooled_ha_plan(*pair)
            self.assertEqual([both[name] for name in (
                "nodes_after_failure", "sessions_after_failure", "covers_concurrency",
                "meets_objectives")], [0, 0, False, False])

        def minimum(document):
            return [document["disaggregated"][pool]["nodes_minimum"] for pool in (
                "prefill", "decode")]

        one_decode = self.asked(concurrency=200, input_tokens=16000, max_tpot_ms=None)
        self.assertGreater(*minimum(one_decode))
        self.assertEqual(one_decode["disaggregated"]["decode"]["nodes_final"], 1)
        self.assertEqual(one_decode["ha_plan"]["nodes_after_failure"], 0)
        rate, short = next((rate, document) for rate, document in (
            (rate, self.asked(concurrency=None, requests_per_second=rate))
            for rate in range(5, 100, 5)) if 1 < document["disaggregated"]["prefill"][
                "nodes_final"] == minimum(document)[0] and minimum(document)[1] < (
                document["disaggregated"]["decode"]["nodes_final"]) and any(
                case["queue_utilization"] >= 1 for case in document["performance"]["cases"]))
        self.assertEqual((short["ha_plan"]["covers_concurrency"],
                          short["ha_plan"]["failures_covered_nominal"]), (False, 0))
        over = [case for case in short["performance"]["cases"] if case["queue_utilization"] >= 1]
        self.assertTrue(over)
        for case in over:  # o prefill dita o ritmo
            self.assertIsNone(case["ttft_ms"])
            self.assertFalse(case["covered"])
            self.assertAlmostEqual(
                case["output_tokens_per_second_per_node"] * case["nodes"] / 500,
                rate / case["queue_utilization"] * (1.2 if "peak" in case["state"] else 1),
                delta=0.2)

    def test_lotes_sem_resposta(self):
        """O que nem uma sessão cumpre é recusado pelo tempo certo; o que cabe é dito"""
        short = {"model": "llama-3.3-70b", "server": "dgx-b200", "concurrency": 5,
                 "input_tokens": 6000, "output_tokens": 200, "disaggregated": "yes"}
        self.refused(flags(dict(short, max_ttft_p95_ms=1000, confidence="90%")),
                     "P95 do TTFT fora do alcance", status=3)
        self.refused(flags(dict(short, max_ttft_ms=10)), ": TTFT fora do alcance", status=3)
        few = {"model": "deepseek-r1", "server": "dgx-b200", "nodes": 1, "concurrency": 5,
               "disaggregated": "yes"}
        self.refused(flags(few), "em dois lotes esta carga não cabe", "cabe com --nodes 2",
                     status=3)
        self.ok(*flags(dict(few, nodes=2)))

    def test_vagas(self):
        """As vagas livres são as que os dois lotes levam; mais contexto não compra menos"""
        asked = {"model": "deepseek-r1", "server": "dgx-b200", "input_tokens": 4000,
                 "output_tokens": 500, "disaggregated": "yes"}
        for given in (10, 12):  # o decode cheio; o prefill, com decode de sobra
            fixed = dict(asked, nodes=given)
            most = json.loads(self.ok(*flags(dict(fixed, peak_headroom_ratio=0)), "--json"))[
                "results"]["max_concurrency"]
            held = self.ok(*flags(dict(fixed, concurrency=500)))
            self.assertIn("com %d vagas livres" % (most - 500), held)
        # nenhuma divisão dos nós leva mais; a reserva de cada lote fica fora do pico e das vagas
        rate = {"concurrency": None, "requests_per_second": Fraction(90), "model": "llama-3.3-70b"}
        for changes in ({"nodes": 12, "concurrency": 500, "context": 4500}, rate,
                        {"nodes": 12, "context": 4500, **rate},
                        {"model": "kimi-k2", "server": "dgx-h100", "nodes": 40, "context": 4500}):
            r = sizing.size(self.question(ha_mode="n+1", **changes))
            units = r.pools.prefill.layout.nodes_per_unit, r.offer.nodes_per_unit
            pools = r.pools.prefill_nodes, r.pools.decode_nodes
            self.assertEqual([nodes[2] % unit for nodes, unit in zip(pools, units)], [0, 0])
            self.assertEqual(r.pools.prefill.receiving_tp, r.offer.layout.tensor_parallel)
            up = tuple(nodes[2] - unit for nodes, unit in zip(pools, units))
            most = r.pools.sessions_carried(up)
            first, second = (nodes[1] + unit for nodes, unit in zip(pools, units))
            for number in range(first, (r.question.nodes or 0) - second + 1):
                self.assertLessEqual(r.pools.sessions_carried((
                    number - units[0], r.question.nodes - number - units[1])), most)
            self.assertEqual(r.peak_sessions, r.pools.speed_and_case(
                0, r.question.peak_headroom_ratio, up)[1]["sessions"])
            self.assertEqual(r.spare_sessions, max(0, most - r.peak_sessions))
            if "requests_per_second" in changes:  # os prompts não mudam com as vagas
                self.assertEqual(most, up[1] // units[1] * r.offer.sessions_per_unit)
        nodes = [answer(asking("deepseek-r1", "dgx-b200", 500, context, disaggregated="yes"
                               )).nodes_final for context in (20000, 24000, 26752, 26754)]
        self.assertEqual(nodes, sorted(nodes))

    def test_auto(self):
        """auto toma o que compra menos nós; no empate, um lote, com a resposta de sempre"""
        seen = set()
        for changes in ({}, {"max_tpot_ms": None}, {"concurrency": None, "nodes": 10},
                        {"concurrency": 20}):
            one, two, auto = (self.asked(mode, **changes) for mode in ("no", "yes", "auto"))
            self.assertNotIn("disaggregated", one)
            self.assertEqual(one["parameters"]["disaggregated"], "no")
            name = "max_concurrency" if "nodes" in changes else "nodes_final"
            answers = [document["results"][name] for document in (one, two)]
            taken = answers[1] > answers[0] if "nodes" in changes else answers[1] < answers[0]
            best, block = (two if taken else one), auto["disaggregated"]
            self.assertEqual(auto["results"], best["results"])
            self.assertEqual((block["taken"], block["other_answer"]), (taken, answers[not taken]))
            self.assertEqual(two["disaggregated"]["other_answer"], answers[0])
            self.assertEqual(auto["parameters"]["disaggregated"], "auto")
            seen.add(taken)
        self.assertEqual(seen, {True, False})
        self.assertIn("Um só lote", self.ok(*flags(dict(self.CHAT, disaggregated="auto"))))

    def test_palavras(self):
        """Os textos dos dois lotes: a conta do prefill fecha, e cada lote diz a sua unidade"""
        text = " ".join(self.ok(*flags(dict(self.CHAT, disaggregated="yes"))).split())
        rate, seconds, replicas, busy = map(float, re.search(
            r"; (\S+) prompts/s × (\S+) s / (\d+) = (\d+)% do tempo; sozinho, ", text).groups())
        self.assertAlmostEqual(100 * rate * seconds / replicas, busy, delta=1)
        kimi = {"model": "kimi-k2", "server": "dgx-h100", "concurrency": 200, "ha": "n+2",
                "effective_context": "16k", "disaggregated": "yes"}
        document = json.loads(self.ok(*flags(kimi), "--json"))
        units = [document["disaggregated"][pool]["nodes_per_unit"]
                 for pool in ("prefill", "decode")]
        self.assertNotEqual(*units)
        self.assertIn("inteira, de %d no prefill e de %d no decode)" % tuple(units),
                      " ".join(self.ok(*flags(kimi)).split()))
        self.assertLessEqual({"réplica de %d nós" % unit for unit in units},
                             set(document["performance"]["extrapolated"]))
        queued = sizing.size(self.question(concurrency=200, max_tpot_ms=30.0))
        # uma falha deixa menos prefill; a fila é dela, e não do decode, que não faz prefill
        case = next(case for case in sizing.shown_cases(queued) if not case["ttft_ms"])
        self.assertEqual(case["state"], "failure")
        self.assertIn("heavy_prefill: %d nós, depois da falha; a fila do lote de prefill" % case[
            "nodes"], " ".join(sizing.warnings_of(queued)))
        self.assertNotIn("pico", sizing.load_text(queued, {**case, "state": "failure_peak"}))
        tiny = sizing.size(self.question(disaggregated="auto"))
        vars(tiny)["other_mode"] = sizing.NothingFits(tiny.question, "nodes", "faltam nós")
        label, words = list(sizing.pools_rows(tiny))[-1]
        self.assertEqual(words, "não cabe%s: faltam nós" % ("m" * (label == "Dois lotes")))

    def test_nos_dados(self):
        """A carga cabe nos nós que ela compra e não em um a menos; e o máximo é o máximo"""
        for changes in ({"max_tpot_ms": 30.0}, {"max_ttft_ms": 800.0, "ha_mode": "n+1"}):
            fixed = dict(changes, context=4500, peak_headroom_ratio=Fraction(0))
            pools = sizing.size(self.question(**fixed)).pools
            needed = pools.nodes[2]
            for nodes in (needed, needed + 3):
                given = sizing.size(self.question(nodes=nodes, **fixed))
                self.assertEqual((given.asks, given.nodes_final), ("load", nodes))
                self.assertTrue(all(case["covered"] for case in given.judged[:1]))
            with self.assertRaisesRegex(SizingError, "%d de prefill e %d de decode" % (
                    pools.prefill_nodes[2], pools.decode_nodes[2])) as caught:
                sizing.size(self.question(nodes=needed - 1, **fixed))
            self.assertEqual(caught.exception.nodes_needed, needed)
            most = sizing.size(self.question(concurrency=None, nodes=10, **changes)).concurrency
            buys = [sizing.size(self.question(concurrency=sessions, **changes)).nodes_final
                    for sessions in (most, most + 1)]
            self.assertLessEqual(buys[0], 10)
            self.assertGreater(buys[1], 10)
        with self.assertRaisesRegex(SizingError, "3 de prefill e 3 de decode"):  # de uma sessão
            sizing.size(self.question("gemma-3-27b", "dgx-b200", nodes=2, ha_mode="n+2",
                                      concurrency=None))
        longest = sizing.size(self.question(nodes=10, input_tokens=None, output_tokens=None))
        self.assertEqual(longest.asks, "context")
        self.assertTrue(longest.pools and longest.nodes_final <= 10)

    def test_propriedades(self):
        """Mais carga ou mais confiança nunca compra menos, e a rede pior não melhora o TTFT"""
        for model in ("deepseek-r1", "llama-3.3-70b", "gpt-oss-120b", "qwen3-next-80b"):
            bought = [nodes_for(self.question(
                model, "dgx-b200", concurrency=None, requests_per_second=Fraction(rate),
                max_tpot_ms=60.0, confidence=level)) for level in (sizing.EVEN, sizing.CONFIDENT)
                for rate in (1, 30, 200)]
            self.assertEqual(bought[:3], sorted(bought[:3]))
            self.assertTrue(all(a <= b for a, b in zip(bought, bought[3:])), bought)
            slow = changed(in_catalogue("servers", "dgx-b200"), network_gbps_per_gpu=1)
            ttfts = [sizing.size(self.question(model, server)).nominal["ttft_ms"]["estimate"]
                     for server in ("dgx-b200", slow)]
            self.assertLess(*ttfts)

    def test_comandos(self):
        """Um comando para cada lote, com o papel de cada um na troca do KV"""
        result = answer(self.question(max_tpot_ms=30.0))
        text = " ".join(sizing.launch_lines(result.internal)).replace(" \\ ", " ")
        sent = [json.loads(found) for found in re.findall(
            r"--kv-transfer-config +'(\{.*?\})'", re.sub(" +", " ", text))]
        self.assertEqual(sent, [{"kv_connector": "NixlConnector", "kv_role": role}
                                for role in ("kv_producer", "kv_consumer")])
        pools = result.internal.pools
        self.assertIn("--tensor-parallel-size %d " % pools.prefill.layout.tensor_parallel, text)
        plain = sizing.launch_lines(sizing.size(self.question(disaggregated="no")))
        self.assertNotIn("kv-transfer", " ".join(plain))

    def test_interface(self):
        """Compara listas; recusa o que não se combina, o valor errado e a flag quase certa"""
        chat = dict(self.CHAT, server="dgx300,dgx-b200", disaggregated="yes")
        table = self.ok(*flags(chat))
        self.assertIn("prefill e decode separados", table)
        rows = list(csv.DictReader(io.StringIO(self.ok(*flags(chat), "--csv"))))
        for row in rows:
            alone = self.asked(server=row["server"])
            self.assertEqual(int(row["nodes_final"]), alone["results"]["nodes_final"])
        self.ok(*flags(dict(chat, disaggregated="auto")), "--json")
        self.ok(*flags(dict(self.CHAT, disaggregated="auto")), "--scenarios")
        chat["server"] = "dgx300"
        self.refused([*flags(chat), "--calibrate-tpot-ms", "30@8"], "--disaggregated",
                     "não se combina com --calibrate-tpot-ms")
        self.refused(flags(dict(chat, disaggregated="maybe")), "no, yes, auto")
        self.refused([*flags(self.CHAT), "--pd", "yes"], "talvez '--disaggregated'")
        self.refused(flags({"model": "gpt-oss-20b", "server": "dgx300", "concurrency": 1,
                            "effective_context": 1, "disaggregated": "yes"}),
                     "--disaggregated", "prompt")
        self.refused(flags({name: value for name, value in dict(chat, server="dgx-spark").items()
                            if name != "max_tpot_ms"}),
                     "--disaggregated", "falta no catálogo tflops_bf16")


class StorageECusto(Case):
    """Storage, falha, energia e dinheiro: contas à mão"""

    def test_carga(self):
        """Checkpoint / min(caminho, carregador) + motor; o compartilhado divide-se pelos nós"""
        rows = (("profile_default", 3, 3), ("aws_ebs_gp3", 2.097, 2.097),
                ("profile_network_ssd", 3, 12 / 6), ("superpod_standard", 3, 3),
                ("azure_premium_ssd", 0.9, 0.9))
        for storage, one, cold in rows:
            document = self.sized(server="dgx200", ha="n+1", storage=storage)
            self.assertEqual(document["results"]["nodes_final"], 6)
            plan = document["storage_plan"]
            self.assertAlmostEqual(plan["node_recovery_seconds"], 65.190340224 / one + 90, places=5)
            self.assertAlmostEqual(plan["cold_start_seconds"], 65.190340224 / cold + 90, places=5)
        slow = catalogue("storage")
        slow["profiles"][1]["throughput_read_gbps"] = 6
        with temporary_file(slow) as path:
            unit = self.sized(model="kimi-k2", server="dgx-h100", concurrency=100,
                              storage="profile_network_ssd", storage_file=path)
        nodes, bytes_read = unit["results"]["nodes_per_unit"], unit["storage_plan"][
            "checkpoint_bytes"]
        self.assertGreaterEqual(nodes, 4)
        self.assertAlmostEqual(unit["storage_plan"]["node_recovery_seconds"],
                               bytes_read / 1e9 / (6 / nodes) + 90, places=4)

    def test_kv_guardado(self):
        """Repor o KV do storage contra o prefill; o espaço do checkpoint e das sessões"""
        for storage, seconds, faster, parked in (
                ("profile_default", 2.4182784 / 28, "restore", 334),
                ("azure_premium_ssd", 2.4182784 / 0.9, "recompute", 334),
                ("superpod_standard", 2.4182784 / 40, "restore", 1000)):
            plan = self.sized(ha="n+1", storage=storage)["storage_plan"]
            self.assertAlmostEqual(plan["kv_restore_seconds"], seconds, places=6)
            self.assertAlmostEqual(plan["kv_recompute_seconds"], 0.566241455, places=6)
            self.assertEqual((plan["kv_faster"], plan["parked_sessions"]), (faster, parked))
            self.assertEqual(plan["capacity_bytes"], 65190340224 + parked * 2418278400)
        turn = self.sized(ha="n+1", input_tokens=1024)["storage_plan"]
        self.assertAlmostEqual(turn["kv_recompute_seconds"], 0.566241455, places=6)
        measured = self.sized(ha="n+1", input_tokens=1024, calibrate_tpot_ms="40@300")
        self.assertAlmostEqual(measured["storage_plan"]["kv_recompute_seconds"],
                               0.566241455 * measured["parameters"]["tpot_scale"], places=6)
        # todo o prompt, o que se calculou no turno e o que estava em cache; da sessão mais longa
        whole = {"model": "opt-oss-120b", "server": "dgx300", "concurrency": 1000,
                 "output_tokens": 1000}
        plans = [json.loads(self.ok(*flags(dict(whole, **changes)), "--json"))[
            "storage_plan"] for changes in (
            {"input_tokens": 31000}, {"input_tokens": 1000, "cached_tokens": 30000},
            {"context_mix": "8k:50%,32000:50%"})]
        self.assertEqual(len({plan["kv_recompute_seconds"] for plan in plans}), 1, plans)
        common = self.sized(shared_prefix_tokens=1024)  # o prefixo comum se guarda uma vez
        self.assertEqual(common["storage_plan"]["parked_kv_bytes"], common["storage_plan"][
            "parked_sessions"] * common["results"]["kv_own_mean_bytes"]
            + common["results"]["shared_prefix_bytes"])
        bare = self.sized(effective_context=1)["storage_plan"]  # sem prompt, nada a refazer
        self.assertEqual((bare["kv_recompute_seconds"], bare["kv_faster"]), (None, None))

    def test_energia(self):
        """kW, U, racks, BTU/h e MWh são os do catálogo vezes os nós"""
        rows = (({"ha": "n+1"}, (45, 30, 1, 153546, 45 * 8.76 * 1.3)),
                ({"ha": "n+1", "pue": "1"}, (45, 30, 1, 153546, 45 * 8.76)),
                ({"server": "dgx200", "ha": "n+1"}, (61.2, 48, 2, 231342, 61.2 * 8.76 * 1.3)),
                ({"server": "gb200-nvl72"}, (120, 48, 1, 409457, 120 * 8.76 * 1.3)),
                ({"server": "gb200-nvl72", "ha": "n+1"}, (240, 96, 2, 818914,
                                                          240 * 8.76 * 1.3)))
        for changes, expected in rows:
            physical = self.sized(**changes)["physical"]
            for name, value in zip(("power_kw", "rack_units", "racks", "heat_btu_h",
                                    "energy_mwh_year"), expected):
                self.assertAlmostEqual(physical[name], value, places=6, msg=(changes, name))

    def test_racks(self):
        """Num rack cabem os nós de 42 U e de 45 kW, o que for menos; ao menos um"""
        rows = (("dgx300", 3, 3), ("dgx200", 4, 4), ("dgx-a100", 6, 6), ("dgx-b200", 3, 3),
                ("gb200-nvl72", None, 1))
        for server, shown, held in rows:
            for nodes in (1, held, held + 1, 2 * held, 2 * held + 1):
                physical = self.sized(server=server, nodes=nodes, concurrency=1)["physical"]
                self.assertEqual((physical["nodes_per_rack"], physical["racks"]),
                                 (shown, -(-nodes // held)), (server, nodes))
        document = catalogue("servers")
        for units, kw, held in ((14, 15, 3), (15, 15, 2), (10, 15.01, 2), (42, 45, 1), (1, 1, 42)):
            document["servers"][0].update(rack_units=units, power_kw=kw)
            with temporary_file(document) as path:
                physical = self.sized(servers_file=path, nodes=held + 1, concurrency=1)["physical"]
            self.assertEqual((physical["nodes_per_rack"], physical["racks"]), (held, 2))

    def test_custo(self):
        """Compra, energia, total, por sessão e mês e por milhão de tokens, à mão"""
        self.assertNotIn("costs", self.sized())
        document = self.sized(ha="n+1", node_price="500k", energy_price="0.5", years=3)
        costs, rate = document["costs"], document["performance"][
            "output_tokens_per_second_per_node"]
        energy = 45 * 1.3 * 8760 * 0.5 * 3
        expected = {"purchase": 1500000, "energy": energy, "total": 1500000 + energy,
                    "per_session_month": (1500000 + energy) / 36 / 1000,
                    "per_million_output_tokens": (1500000 + energy) / (
                        rate * 3 * 3600 * 8760 * 3 / 1e6)}
        for name, value in expected.items():
            self.assertAlmostEqual(costs[name] / value, 1, places=7, msg=name)
        bought = self.sized(node_price=7)["costs"]
        self.assertEqual((bought["purchase"], bought["energy"], bought["per_session_month"]),
                         (14, None, None))
        century = self.sized(node_price=12, years=100)["costs"]
        self.assertAlmostEqual(century["per_session_month"], 24 / 1200 / 1000)
        text = self.ok(*flags(dict(BASE, node_price="500k", energy_price="0.5", years=3)))
        self.assertIn("compra 1000000; energia 512460; ", " ".join(text.split()))
        self.assertIn(" · custo 1512460\n", text)
        self.assertIn(" · custo 1512460", self.screen(text, 26)[1])
        self.assertIn(" (3 anos, nó a 500000, kWh a 0.5, PUE 1.3)", " ".join(text.split()))

    def test_sem_dados(self):
        """Sem potência, sem pesos: null e o relatório diz; flags sem efeito são recusadas"""
        document = catalogue("servers")
        for name in ("power_kw", "rack_units", "heat_btu_h"):
            del document["servers"][0][name]
        with temporary_file(document) as path:
            sized = self.sized(servers_file=path)
            self.assertEqual(set(sized["physical"].values()), {None})
            self.refused(flags(dict(BASE, servers_file=path, pue=2)), "--pue", "power_kw")
            self.refused(flags(dict(BASE, servers_file=path, energy_price=2, years=1)),
                         "--energy-price", "power_kw")
        models = catalogue("models")
        for name in ("checkpoint_bytes", "weights_dense_bytes", "weights_expert_bytes"):
            models["models"][0].pop(name)
        with temporary_file(models) as path:
            plan = self.sized(models_file=path)["storage_plan"]
            self.assertEqual((plan["checkpoint_bytes"], plan["cold_start_seconds"],
                              plan["capacity_bytes"]), (None, None, None))
            cloud = self.sized(models_file=path, storage="aws_ebs_gp3")["warnings"]
            self.assertTrue(any("checkpoint_bytes" in warning for warning in cloud), cloud)

    def test_flags(self):
        """Valores errados e combinações sem efeito"""
        rows = (({"pue": "0.9"}, "--pue"), ({"pue": "11"}, "--pue"), ({"node_price": 0}, "--node"),
                ({"node_price": "R$5"}, "--node-price"), ({"years": 0, "node_price": 1}, "--years"),
                ({"years": 101, "node_price": 1}, "--years"), ({"years": 3}, "--years", "--node"),
                ({"energy_price": 1}, "--energy-price", "--years"),
                ({"server": "dgx-spark", "input_tokens": 64}, "--input-tokens", "tflops_bf16"),
                # antes de dizer quantos nós bastam: com a flag, não bastariam
                ({"server": "dgx-spark", "nodes": 1, "output_tokens": 64}, "--output-tokens",
                 "tflops_bf16"),
                ({"server": "dgx-spark", "kv_budget_ratio": "1%", "output_tokens": 64},
                 "--output-tokens"))
        for changes, *words in rows:
            with self.subTest(changes):
                self.refused(flags(dict(BASE, **changes)), *words)
        self.refused(flags({"model": "opt-oss-20b", "server": "dgx-spark", "nodes": 1,
                            "concurrency": 10**6, "output_tokens": 64}), "--output-tokens")
        # a soma do pedido é o contexto, ainda que não haja velocidade a prever
        spark = {"model": "opt-oss-20b", "server": "dgx-spark", "concurrency": 100}
        seen = [json.loads(self.ok(*flags(dict(spark, **changes)), "--json"))["results"]
                for changes in ({"cached_tokens": 4000, "input_tokens": 2000,
                                 "output_tokens": 400}, {"effective_context": 6400})]
        self.assertEqual(*seen)

    def test_fp8_ao_carregar(self):
        """fp8 de um repositório de 16 bits lê os 16 bits; outra precisão, outro checkpoint"""
        llama = {"model": "llama-3.3-70b", "server": "dgx200", "effective_context": 8192}
        plans = {precision: self.sized(**dict(llama, weights_precision=precision))["storage_plan"]
                 for precision in ("bf16", "fp8", "int8", "nvfp4")}
        for name in ("checkpoint_bytes", "node_recovery_seconds", "cold_start_seconds"):
            self.assertEqual(plans["fp8"][name], plans["bf16"][name])
            self.assertLess(plans["int8"][name], plans["fp8"][name])
            self.assertLess(plans["nvfp4"][name], plans["int8"][name])
        self.assertEqual(plans["fp8"]["checkpoint_bytes"],
                         listed("models", "llama-3.3-70b")["checkpoint_bytes"])
        half = asking(changed(in_catalogue("models", "llama-3.3-70b"), native_precision="fp16"),
                      "dgx200", weights_precision="fp8")
        self.assertEqual(sizing.checkpoint_bytes(half), plans["fp8"]["checkpoint_bytes"])
        self.assertEqual(plans["fp8"]["capacity_bytes"] - plans["fp8"]["parked_kv_bytes"],
                         plans["fp8"]["checkpoint_bytes"])
        model = in_catalogue("models", "mixtral-8x7b-instruct-v0.1")
        bare = changed(model, checkpoint_bytes=None)  # o que se sabe são os pesos de 16 bits
        for weights in (None, "fp8"):
            found = answer(asking(bare, "dgx200", 1, 4096, weights_precision=weights))
            self.assertEqual(document_of(found)["storage_plan"]["checkpoint_bytes"],
                             model.weights_dense_bytes + model.weights_expert_bytes)

    def test_so_mostrados(self):
        """IOPS, escrita e latência de um perfil não entram em conta alguma, e USE_CASES o diz"""
        shown = ("iops_read", "iops_write", "throughput_write_gbps", "latency_read_ms_p50",
                 "latency_write_ms_p50", "latency_write_ms_p99")
        profile = dict(listed("storage", "profile_default"), name="outro")
        documents = []
        for number in (1, 2):
            profile.update(dict.fromkeys(shown, number), latency_read_ms_p99=9)
            with temporary_file({"profiles": [profile]}) as path:
                document = self.sized("--explain", storage_file=path, storage="outro")
            entry = document.pop("storage")
            self.assertEqual({entry[name] for name in shown}, {number})
            documents.append(document)
        self.assertEqual(*documents)
        told = re.search(r"(?s)\n\*\*Storage\*\*.*?\n\n", text_of("USE_CASES.md"))[0]
        told = told[told.index("só se mostram"):]
        self.assertEqual(set(re.findall("`([a-z_0-9]+)`", told)), set(shown))

    def test_perfis(self):
        """Os perfis têm escopo e fonte; sem scope, o que não é local é de todos os nós"""
        for profile in catalogue("storage")["profiles"]:
            self.assertIn(profile["scope"], ("node", "shared"))
        document = catalogue("storage")
        for profile in document["profiles"]:
            del profile["scope"]
        with temporary_file(document) as path:
            for name, scope in (("profile_default", "node"), ("profile_network_ssd", "shared"),
                                ("profile_cloud_premium", "shared")):
                plan = self.sized(storage_file=path, storage=name)["storage_plan"]
                self.assertEqual(plan["scope"], scope)

    def test_objetivo_na_falha(self):
        """Depois da falha a carga nominal ainda atende ao objetivo, ou se diz que não"""
        for ha, meets, admitted in (("n+1", True, 1000), ("none", False, 896)):
            document = self.sized(max_tpot_ms=50, ha=ha, peak_headroom_ratio=0)
            self.assertIs(document["ha_plan"]["meets_objectives"], meets)
            failed = document["performance"]["cases"][1]  # só as sessões que ainda se admitem
            self.assertEqual(failed["sessions"], admitted)
            self.assertLessEqual(failed["tpot_ms"]["estimate"], 50)


# ── O pedido: contexto, prefixo comum, mistura de comprimentos ────────────────────────────────


def naive_groups(raw):
    """[(camadas, bytes por token e camada, com e sem 2 bytes por elemento, tokens por vetor)] do
    que guarda o prefixo inteiro; as janelas, os blocos e os estados fixos não o guardam."""
    if raw.get("groups") is None:
        layers = {"full": raw["num_layers"], "sliding": 0}.get(
            raw["attention_pattern"], raw.get("hybrid_full_layers"))
        return [(layers, 2 * raw["num_key_value_heads"] * raw["head_dim"], 0, 1)]
    rows = []
    for group in raw["groups"]:
        kind, layers = group["kind"], group["layers"]
        if kind == "full":
            rows.append((layers, group["kv_heads"] * (group["k_dim"] + group["v_dim"]), 0, 1))
        elif kind == "mla":
            rows.append((layers, group["kv_lora_rank"] + group["qk_rope_head_dim"], 0, 1))
        elif kind == "compressed":
            rows.append((layers, group["dim"], 0, group["ratio"]))
        elif "indexer" in kind:  # chave fp8 e uma escala de 4 bytes a cada 128
            width = group["index_head_dim"]
            rows.append((layers, 0, width + 4 * -(-width // 128), group.get("ratio", 1)))
    return rows


def naive_shared_bytes(raw, prefix, element):
    """O prefixo comum em todas as camadas que o guardam."""
    return sum(layers * (elements * element + fixed) * (prefix // stride)
               for layers, elements, fixed, stride in naive_groups(raw))


def fit_probability(sessions, sizes, room):
    """A chance exata de que o total de `sessions` sessões sorteadas caiba, por convolução."""
    chances = {0: 1.0}
    for _ in range(sessions):
        after = collections.defaultdict(float)
        for total, chance in chances.items():
            for size, share in sizes:
                if total + size <= room:
                    after[total + size] += chance * float(share)
        chances = after
    return sum(chances.values())


class Pedido(Case):
    """O pedido faz o contexto; o prefixo comum e a mistura de comprimentos"""

    FREE = {name: value for name, value in BASE.items() if name != "effective_context"}

    def asked(self, **changes):
        """O JSON da pergunta básica sem contexto."""
        return json.loads(self.ok(*flags(dict(self.FREE, **changes)), "--json"))

    def test_soma(self):
        """Em cache, novos e gerados somam o contexto, com os padrões do que não se disse"""
        rows = (({"input_tokens": 6000, "output_tokens": 400}, (0, 6000, 400)),
                ({"input_tokens": 2000, "cached_tokens": 4000, "output_tokens": 400},
                 (4000, 2000, 400)),
                ({"input_tokens": 300}, (0, 300, 300)), ({"input_tokens": 1}, (0, 1, 1)),
                ({"input_tokens": 5000}, (0, 5000, 1024)),
                ({"cached_tokens": 4000}, (4000, 1024, 1024)),
                ({"cached_tokens": 0}, (0, 1024, 1024)),
                ({"cached_tokens": 100, "input_tokens": 100}, (100, 100, 200)),
                ({"shared_prefix_tokens": 3000, "input_tokens": 100}, (3000, 100, 1024)),
                ({"shared_prefix_tokens": 500, "cached_tokens": 700, "input_tokens": 9},
                 (700, 9, 709)))
        for changes, (cached, new, output) in rows:
            with self.subTest(changes):
                document = self.asked(**changes)
                parameters, case = document["parameters"], document["performance"]
                self.assertEqual((parameters["effective_context"], parameters["context_source"]),
                                 (cached + new + output, "request"))
                self.assertEqual((case["cached_tokens"], case["input_tokens"],
                                  parameters["output_tokens"]), (cached, new, output))
                self.assertEqual({item["input_tokens"] for item in case["cases"]}, {new})
                # a mesma resposta com o contexto escrito
                spelt = self.asked(effective_context=cached + new + output, **dict(
                    changes, input_tokens=new, output_tokens=output))
                self.assertEqual(spelt["parameters"]["context_source"], "flag")
                for block in ("results", "performance", "engine", "ha_plan"):
                    self.assertEqual(spelt[block], document[block])
                text = " ".join(self.ok(*flags(dict(self.FREE, **changes))).split())
                self.assertIn("gerado%s = %d tokens" % (
                    "s" * (output > 1), cached + new + output), text)
        sources = (({}, "model"), ({"effective_context": "128k"}, "flag"),
                   ({"context_mix": "8k:50%,16k:50%"}, "flag"),
                   ({"shared_prefix_tokens": 10}, "model"), ({"output_tokens": 10}, "model"),
                   ({"nodes": 1}, "answer"), ({"nodes": 2, "input_tokens": 4000}, "request"))
        for changes, source in sources:
            document = self.asked(**changes)
            self.assertEqual(document["parameters"]["context_source"], source)
        self.assertEqual(document["question"], "load")  # o pedido dado, a carga se avalia
        self.assertEqual(document["parameters"]["peak_headroom_ratio"], 0)

    def test_contradicoes(self):
        """Cada contradição do pedido: status 2, e a flag pelo nome"""
        rows = (
            ({"input_tokens": 100, "cached_tokens": 100, "output_tokens": 10,
              "effective_context": 1000}, "--input-tokens '100'", "soma 210 tokens", "diz 1000"),
            ({"input_tokens": 800, "cached_tokens": 100, "output_tokens": 101,
              "effective_context": 1000}, "--input-tokens '800'", "contexto de 1000 tokens"),
            ({"cached_tokens": 990, "output_tokens": 10, "effective_context": 1000},
             "--cached-tokens '990'", "contexto de 1000 tokens"),
            ({"input_tokens": 131072}, "--input-tokens '131072'", "soma 132096", "131072"),
            ({"cached_tokens": "128k"}, "--cached-tokens '128k'", "soma 133120", "131072"),
            ({"input_tokens": "64k", "output_tokens": "64k", "cached_tokens": 1}, "131073"),
            ({"cached_tokens": 100, "shared_prefix_tokens": 101}, "--shared-prefix-tokens '101'",
             "passa dos 100 em cache"),
            ({"cached_tokens": 0, "shared_prefix_tokens": 1}, "--shared-prefix-tokens '1'"),
            ({"shared_prefix_tokens": "8k", "effective_context": "8k"},
             "--shared-prefix-tokens '8k'", "8192 em cache"),
            ({"shared_prefix_tokens": 0}, "--shared-prefix-tokens '0'"),
            ({"cached_tokens": -1}, "--cached-tokens '-1'"), ({"cached_tokens": "1.5"}, "'1.5'"),
            ({"context_mix": "8k:1", "effective_context": "8k"}, "--context-mix",
             "--effective-context"),
            ({"context_mix": "8k:1", "cached_tokens": 9}, "--context-mix", "--cached-tokens"),
            ({"context_mix": "8k:50%,9k:49.99%"}, "--context-mix", "somam 99.99%"),
            ({"context_mix": "8k:50%,9k:50.01%"}, "--context-mix", "somam 100.01%"),
            ({"context_mix": "8k:50%,9k:50.000000001%"}, "--context-mix",
             "espera-se que as partes somem 100%, e somam 100.000000001%\n"),
            ({"context_mix": "8k:33.333%,9k:33.333%"}, "--context-mix", "somam 66.666%\n"),
            ({"context_mix": "8k:0.333,9k:1"}, "--context-mix", "somam 133.3%\n"),
            ({"context_mix": "8k:50%,8192:50%"}, "--context-mix", "cada comprimento uma vez"),
            ({"context_mix": "8k:50%,1m:50%"}, "--context-mix", "1048576", "131072"),
            ({"context_mix": "1k:50%,8k:50%", "input_tokens": 1024}, "--input-tokens '1024'",
             "contexto de 1024 tokens"),
            ({"context_mix": "1k:50%,8k:50%", "shared_prefix_tokens": 1000},
             "--shared-prefix-tokens '1000'", "contexto de 1024 tokens"),
            *(({"context_mix": bad}, "--context-mix") for bad in (
                "8k", "8k:", ":1", "8k:0,9k:1", "8k:1,", "8k:150%", "x:1", "0:1", "8k:nan",
                "8k:50%;9k:50%", "8k:-1,9k:2", "")))
        for changes, *words in rows:
            with self.subTest(changes):
                self.refused(flags(dict(self.FREE, **changes)), *words)
        # a soma exata, e um token a menos de prefixo, servem
        self.asked(input_tokens=800, cached_tokens=100, output_tokens=100, effective_context=1000)
        self.asked(cached_tokens=101, shared_prefix_tokens=101)
        self.asked(input_tokens="64k", output_tokens="64k")

    def test_prefixo(self):
        """O prefixo comum uma vez por réplica, no plano e no teto; janelas não o dividem"""
        shared = 0
        rows = (("opt-oss-120b", "dgx300", 8), ("opt-oss-120b", "dgx300", 2),
                ("opt-oss-120b", "dgx300", 1), ("llama-3.3-70b", "dgx200", 4),
                ("deepseek-v3.2", "dgx300", None), ("deepseek-v4", "dgx300", None),
                ("qwen3-next-80b", "dgx200", 2), ("gemma-3-27b", "dgx200", 1),
                ("llama-4-scout", "dgx300", 8))
        for model, server, tp in rows:
            for prefix in (5000, 65537):
                with self.subTest((model, tp, prefix)):
                    question = asking(model, server, 100, 100003, shared_prefix_tokens=prefix,
                                      tensor_parallel=tp)
                    result, raw = answer(question), listed("models", model)
                    document, kv_bytes = document_of(result), session_bytes(
                        question.model, 100003, "fp8")
                    shared = naive_shared_bytes(raw, prefix, 1)
                    results, replica = document["results"], replica_of(result)
                    self.assertEqual(results["shared_prefix_bytes"], shared)
                    self.assertEqual(results["kv_per_session_bytes"], kv_bytes)
                    self.assertEqual(results["kv_own_mean_bytes"], kv_bytes - shared)
                    copies = replica.per_unit * replica.dp  # de um nó
                    self.assertEqual(results["kv_total_bytes"], 100 * (kv_bytes - shared)
                                     + results["nodes_final"] * copies * shared)
                    plan = (result.budget_bytes - copies * shared) // (kv_bytes - shared)
                    # no teto, os blocos cheios do prefixo, uma vez por réplica
                    blocks = NaiveBlocks(raw, listed("servers", server), "fp8", replica.tp)
                    common = blocks.shared(prefix)
                    own = blocks.held(100003) - common
                    reserved = blocks.reserved(100003, question.max_num_batched_tokens)
                    rank = replica.sessions // replica.dp
                    for sessions, fits in ((rank, True), (rank + 1, False)):
                        pool = (replica.usable_bytes - replica.weights_bytes
                                - runtime_bytes(replica, sessions))
                        admitted = naive_sessions(pool // blocks.bytes, own, reserved)
                        self.assertEqual(admitted >= sessions, fits)
                    self.assertEqual(result.sessions, min(plan, rank * copies))
                    none = answer(changed(question, shared_prefix_tokens=0))
                    self.assertGreaterEqual(result.sessions, none.sessions)
        self.assertTrue(shared)
        question = dict(BASE, nodes=1, concurrency=613)
        self.refused(flags(dict(question, concurrency=614)), status=3)
        # 131072 tokens dos quais 64k comuns: quase o dobro
        self.assertEqual(self.sized(shared_prefix_tokens="64k")["results"]["sessions_per_node"],
                         (1483950981120 - 18432 * 65536) // (2418278400 - 18432 * 65536))

    def test_prefixo_nunca_compra(self):
        """Mais prefixo comum, no mesmo pedido, nunca compra nós"""
        whole, split = (
            sizing.size(asking("opt-oss-120b", "dgx300", 10, 131072, **more)).offer.layout
            for more in ({}, {"shared_prefix_tokens": 65536}))
        self.assertGreater(split.shared_blocks, 0)  # a sessão mais longa guarda o mesmo
        self.assertEqual(split.session_bytes_per_gpu, whole.session_bytes_per_gpu)
        generator, changes = random.Random(11), 0
        models, servers = entries_of("models"), entries_of("servers")
        for _ in range(rounds(200, 60)):
            model, server = generator.choice(models), generator.choice(servers)
            context = generator.randint(2000, min(200000, model.max_position_embeddings))
            asked = asking(model, server, generator.randint(1, 3000), context, output_tokens=200,
                           ha_mode=generator.choice(("none", "n+1")))
            prefixes = sorted(generator.sample(range(context - 300), 3))
            nodes = [nodes_for(changed(asked, shared_prefix_tokens=prefix))
                     for prefix in (0, *prefixes)]
            self.assertEqual(nodes, sorted(nodes, reverse=True), (model.name, server.name, context,
                                                                  prefixes))
            changes += nodes[-1] < nodes[0] < float("inf")
        self.assertGreater(changes, 10)

    def test_mistura(self):
        """O percentil 99 do total, contra a distribuição exata; o maior cabe; folga só aumenta"""
        thirds = Fraction(1, 3)
        mixes = (((8, "0.7"), (32, "0.25"), (128, "0.05")), ((1, "0.5"), (3, "0.5")),
                 ((2, "0.9"), (50, "0.1")), ((10, "0.1"), (20, "0.9")), ((1, "0.05"), (9, "0.95")),
                 ((4, thirds), (16, thirds), (64, thirds)), ((1, "0.99"), (100, "0.01")))
        shortfall = []
        for mix in mixes:
            sizes = tuple((size, Fraction(share)) for size, share in mix)
            longest, before = sizes[-1][0], 0
            self.assertEqual(sessions_fitting(longest - 1, sizes), 0)
            for times in (1, 2, 5, 20):
                room = longest * times
                sessions = sessions_fitting(room, sizes)
                self.assertGreaterEqual(sessions, before)
                before = sessions
                # nunca abaixo de 98%; e nunca menos que tantas vezes o maior
                self.assertGreaterEqual(fit_probability(sessions, sizes, room), 0.985, (mix, room))
                self.assertGreaterEqual(sessions, times)
                best = sessions
                while best < 250 and fit_probability(best + 1, sizes, room) >= 0.99:
                    best += 1
                shortfall.append((best - sessions, best))
        # a aproximação é da soma de muitas sessões: em cauda longa e poucas, fica do lado seguro
        self.assertTrue(all(few <= max(3, best * 0.5) for few, best in shortfall), shortfall)
        self.assertGreater(sum(few <= 1 for few, _ in shortfall), len(shortfall) * 0.7)
        rooms = [sessions_fitting(room, ((8, Fraction(7, 10)), (128, Fraction(3, 10))))
                 for room in range(100, 3000, 7)]
        self.assertEqual(rooms, sorted(rooms))

    def test_mistura_na_pergunta(self):
        """A mistura de um só comprimento é o contexto; de vários, a média, e o mais longo cabe"""
        for extra in ({}, {"max_tpot_ms": 60}, {"requests_per_second": 9, "concurrency": None},
                      {"concurrency": None, "nodes": 2, "ha": "n+1"}):
            base = {name: value for name, value in dict(self.FREE, **extra).items() if value}
            one, two = (json.loads(self.ok(*flags(dict(base, **context)), "--json"))
                        for context in ({"context_mix": "32k:100%"}, {"effective_context": "32k"}))
            self.assertEqual(one["parameters"].pop("context_mix"), [[32768, 1.0]])
            for document in (one, two):
                for name in ("context_mix", "requested_context"):
                    document["parameters"].pop(name, None)
            self.assertEqual(one, two)
        mix = {8192: Fraction(7, 10), 32768: Fraction(1, 4), 131072: Fraction(1, 20)}
        text = "128k:5%,8k:70%,32k:25%"
        document = self.asked(context_mix=text, concurrency=10000)
        kv_bytes = {tokens: 18432 * (tokens + 128) for tokens in mix}
        mean = sum(kv_bytes[tokens] * share for tokens, share in mix.items())
        results = document["results"]
        self.assertEqual(results["kv_own_mean_bytes"], mean)
        self.assertEqual(results["kv_per_session_bytes"], kv_bytes[131072])
        self.assertEqual(results["kv_total_bytes"], 10000 * mean)
        # entre a capacidade da média e a dela com 2.33 desvios-padrão e a assimetria
        average = 1483950981120 / mean
        spread = math.sqrt(sum((kv_bytes[tokens] - mean)**2 * share
                               for tokens, share in mix.items()) / mean**2)
        self.assertLess(results["sessions_per_node"], average - 2.2 * spread * math.sqrt(average))
        self.assertGreater(results["sessions_per_node"],
                           average - 2.6 * spread * math.sqrt(average) - 20)
        for extra, new in (({}, "todo o prompt novo (ou 1024, resto em cache)"),
                           ({"input_tokens": 700}, "700 novos, resto em cache")):
            shown = self.ok(*flags(dict(self.FREE, context_mix=text, concurrency=10000, **extra)))
            self.screen(shown, 23)
            self.assertIn("\nPedido: 70% de 8192, 25% de 32768, 5% de 131072 tokens; " + new
                          + ", 1024 gerados", re.sub("\n {2,4}", " ", shown))

    def test_partes_de_um_terco(self):
        """Três decimais numa parte não são milhares: 33.333% é um terço, e 0.333 também"""
        for text, shares in (("8k:33.333%,32k:33.333%,128k:33.334%", (33333, 33333, 33334)),
                             ("8k:0.333,32k:0.333,128k:0.334", (33300, 33300, 33400)),
                             ("8k:12.5%,32k:0.125,128k:75.000%", (12500, 12500, 75000))):
            document = self.asked(context_mix=text, concurrency=1000)
            self.assertEqual(document["parameters"]["context_mix"], [
                [tokens, share / 100000]
                for tokens, share in zip((8192, 32768, 131072), shares)])
            mean = Fraction(sum(share * 18432 * (tokens + 128) for tokens, share in zip(
                (8192, 32768, 131072), shares)), 100000)
            self.assertAlmostEqual(document["results"]["kv_own_mean_bytes"] / float(mean), 1, 8)
            told = ["%.3f" % (share / 1000) for share in shares]
            told = ", ".join("%s%% de %d" % (number.rstrip("0").rstrip("."), tokens)
                             for number, tokens in zip(told, (8192, 32768, 131072)))
            shown = self.ok(*flags(dict(self.FREE, context_mix=text, concurrency=1000)))
            self.assertIn("Pedido: %s tokens; " % told, " ".join(shown.split()))

    def test_velocidade_da_mistura(self):
        """O TPOT lê o KV médio das sessões; o TTFT é do prompt mais longo"""
        base = dict(self.FREE, concurrency=200, nodes=1, output_tokens=512, model="llama-3.1-8b",
                    tensor_parallel=8)

        def parts(**changes):
            case = json.loads(self.ok(*flags(dict(base, **changes)), "--json"))["performance"]
            return case["breakdown_ms"], case["ttft_ms"], case["tpot_ms"]["estimate"]

        mixed, ttft, tpot = parts(context_mix="8k:75%,40k:25%", input_tokens=600)
        read = [parts(effective_context=context, input_tokens=600)[0]["kv"]
                for context in (8192, 40960)]
        self.assertAlmostEqual(mixed["kv"] / (0.75 * read[0] + 0.25 * read[1]), 1, places=6)
        _, longest, other = parts(effective_context=40960, input_tokens=600)
        # o prompt sozinho é o do mais longo; só os passos em que ele anda mudam
        self.assertAlmostEqual(ttft["estimate"] - 1.5 * tpot, longest["estimate"] - 1.5 * other,
                               places=4)
        # com todo o prompt novo, o prefill dos outros também é o médio
        mixed, ttft, tpot = parts(context_mix="8k:75%,40k:25%")
        each = [parts(effective_context=context)[0]["prefill_interference"]
                for context in (8192, 40960)]
        self.assertAlmostEqual(mixed["prefill_interference"] / (0.75 * each[0] + 0.25 * each[1]), 1,
                               places=6)


# ── Objetivos e a primeira tela ───────────────────────────────────────────────────────────────

STATES = ("nominal", "peak", "failure", "failure_peak")
GOALS = {"tpot_ms": "TPOT ≤ ", "tokens_per_second": "≥ ", "ttft_ms": "1º token ≤ "}
WORDS = {"met": "ok", "at_risk": "RISCO", "missed": "não"}


def promised_of(document):
    """Os estados que a compra promete: com reserva, o pico é o de depois da falha."""
    if document["parameters"]["ha_mode"] == "none":
        return {"nominal", "peak"}
    return {"nominal", "failure", "failure_peak"}


def shown_of(document):
    """As cargas que a tela mostra: as prometidas, e o que resta depois de uma falha."""
    shown = promised_of(document) | {"failure"}
    return [case for case in (document["performance"] or {"cases": ()})["cases"]
            if case["state"] in shown]


def naive_verdict(name, limit, low, high, covered=True):
    """O limite abaixo, dentro ou acima da faixa de 80%; o que se recusa não o cumpre."""
    if low is None or not covered:
        return "missed"
    good, bad = (low <= limit, high <= limit) if name != "tokens_per_second" else (
        high >= limit, low >= limit)
    return "met" if bad else "at_risk" if good else "missed"


class Objetivos(Case):
    """Objetivos em quatro estados da carga, com três vereditos, e a confiança"""

    RAG = {"model": "llama-3.3-70b", "server": "dgx200", "concurrency": 300,
           "input_tokens": 2000, "cached_tokens": 4000, "output_tokens": 400}

    def rag(self, **changes):
        """O JSON do caso de RAG com as mudanças."""
        asked = {name: value for name, value in dict(self.RAG, **changes).items() if value}
        return json.loads(self.ok(*flags(asked), "--json"))

    def test_vereditos(self):
        """met, at_risk ou missed pela faixa de cada estado; sem TTFT previsto, missed"""
        seen = collections.Counter()
        rows = ({"min_tokens_per_second": 25, "max_ttft_ms": 2000, "ha": "n+1"},
                {"min_tokens_per_second": 25}, {"max_tpot_ms": 41, "ha": "n+2"},
                {"max_tpot_ms": 30, "min_tokens_per_second": 29}, {"max_ttft_ms": 700},
                {"max_ttft_ms": 1500, "ha": "n+1"}, {"min_tokens_per_second": 2},
                {"max_tpot_ms": 50, "confidence": "90%", "ha": "n+1"},
                {"nodes": 3, "min_tokens_per_second": 25}, {"nodes": 9, "max_tpot_ms": 24},
                {"concurrency": None, "nodes": 4, "max_tpot_ms": 50},
                {"concurrency": None, "requests_per_second": 20, "max_tpot_ms": 30, "ha": "n+1"})
        for changes in rows:
            document = self.rag(**changes)
            cases = {case["state"]: case for case in document["performance"]["cases"]}
            limits = {name: changes[flag] for name, flag in (
                ("tpot_ms", "max_tpot_ms"), ("tokens_per_second", "min_tokens_per_second"),
                ("ttft_ms", "max_ttft_ms")) if flag in changes}
            objectives = document["objectives"]
            self.assertEqual([(item["name"], item["limit"], item["state"]) for item in objectives],
                             [(name, limit, state) for name, limit in limits.items()
                              for state in STATES if state in cases])
            for item in objectives:
                case, name = cases[item["state"]], item["name"]
                figure = case.get(name) or dict.fromkeys(("estimate", "low", "high"))
                if name == "tokens_per_second":
                    rate = "output_tokens_per_second_per_session"
                    figure = dict(case[rate + "_range"], estimate=case[rate])
                self.assertEqual({key: item[key] for key in figure}, figure)
                self.assertEqual(item["verdict"], naive_verdict(
                    name, item["limit"], item["low"], item["high"], case["covered"]), item)
                seen[item["state"], item["verdict"]] += 1
                seen["recusada"] += not case["covered"] and item["verdict"] != naive_verdict(
                    name, item["limit"], item["low"], item["high"])
                seen[name] += 1
        for state in STATES:
            self.assertTrue(seen[state, "met"] and seen[state, "at_risk"], seen)
        self.assertTrue(seen["recusada"], seen)
        self.assertEqual(self.rag()["objectives"], [])
        # sem --input-tokens se julga a ponta do prompt novo
        for item in self.sized(concurrency=9, max_ttft_ms=10**6)["objectives"]:
            self.assertGreater(item["estimate"], 600)
        # o que se admite atende: os limites exatos e o perdido, só de perto
        figure = {"estimate": 3.0, "low": 2.0, "high": 4.0}
        for limit, verdict in ((1.9, "missed"), (2, "at_risk"), (3.9, "at_risk"), (4, "met")):
            self.assertEqual(objective_verdict("tpot_ms", limit, figure), verdict)
            self.assertEqual(objective_verdict("ttft_ms", limit, figure), verdict)
        for limit, verdict in ((4.1, "missed"), (4, "at_risk"), (2.1, "at_risk"), (2, "met")):
            self.assertEqual(objective_verdict("tokens_per_second", limit, figure), verdict)
        self.assertEqual(objective_verdict("ttft_ms", 9, None), "missed")  # em fila
        for name, limit in itertools.product(GOALS, (0.1, 3, 9)):  # o que se recusa não cumpre
            self.assertEqual(objective_verdict(name, limit, figure, covered=False), "missed")

    def test_tokens_por_segundo(self):
        """25 tokens/s são 40 ms por token; dos dois objetivos vale o mais apertado"""
        for extra in ({}, {"ha": "n+1"}, {"confidence": "90%"},
                      {"concurrency": None, "nodes": 4},
                      {"concurrency": None, "requests_per_second": 12}):
            rate, time_ = (self.rag(**dict(extra, **limit)) for limit in (
                {"min_tokens_per_second": 25}, {"max_tpot_ms": 40}))
            for block in ("results", "performance", "ha_plan", "engine"):
                self.assertEqual(rate[block], time_[block])
            self.assertEqual([item["verdict"] for item in rate["objectives"]],
                             [item["verdict"] for item in time_["objectives"]])
        for tpot, rate, winner in ((30, 25, {"max_tpot_ms": 30}), (50, 25, {"max_tpot_ms": 40}),
                                   (40, 20, {"max_tpot_ms": 40}), (50, 40, {"max_tpot_ms": 25})):
            both = self.rag(max_tpot_ms=tpot, min_tokens_per_second=rate)
            self.assertEqual(both["results"], self.rag(**winner)["results"])
            limit = ("TPOT de %d ms" % tpot if winner["max_tpot_ms"] == tpot
                     else "%d tokens/s" % rate)
            self.assertIn("limite: %s (" % limit, self.ok(*flags(dict(
                self.RAG, max_tpot_ms=tpot, min_tokens_per_second=rate))))

    def test_estados(self):
        """As sessões de cada estado: a carga, e o pico, até o que os nós que restam admitem"""
        seen = set()
        for changes in ({}, {"ha": "n+1"}, {"ha": "n+2", "peak_headroom_ratio": "150%"},
                        {"max_tpot_ms": 50}, {"concurrency": 613, "peak_headroom_ratio": 1},
                        {"concurrency": 5000, "peak_headroom_ratio": "1%"},
                        {"concurrency": 700, "peak_headroom_ratio": "70%", "ha": "n+1"}):
            question = dict(BASE, peak_headroom_ratio="20%")
            question.update(changes)
            document = json.loads(self.ok(*flags(question), "--json"))
            ha, results = document["ha_plan"], document["results"]
            load, admitted = question["concurrency"], results["sessions_per_node"] * ha[
                "nodes_after_failure"]
            headroom = Fraction(str(document["parameters"]["peak_headroom_ratio"]))
            peak = math.ceil(load * (1 + headroom))
            expected = {"nominal": load, "peak": peak, "failure": min(load, admitted),
                        "failure_peak": min(peak, admitted)}
            ends = collections.Counter()
            for case in document["performance"]["cases"]:
                self.assertEqual(case["sessions"], expected[case["state"]])
                left = ha["nodes_after_failure"]
                self.assertEqual(case["nodes"], left if "failure" in case["state"]
                                 else results["nodes_final"])
                whole = peak if "peak" in case["state"] else load
                self.assertIs(case["covered"], case["sessions"] == whole)
                seen.add((case["state"], case["covered"]))
                ends[case["input_tokens"]] += 1
            # nas duas pontas, os mesmos estados
            self.assertEqual(len(ends), 2)
            self.assertEqual(len(set(ends.values())), 1)
        self.assertEqual(seen, {("nominal", True), ("peak", True),
                                *itertools.product(STATES[2:], (True, False))})

    def test_taxa_recusada(self):
        """Uma taxa é levada se os nós que restam, cheios, terminam tantos pedidos por segundo"""
        seen = collections.Counter()
        # na última, cheia é a réplica que serve mais por segundo, e não a de mais sessões
        for rate, changes in (*itertools.product((1, 5, 31), (
                {}, {"ha": "n+1"}, {"peak_headroom_ratio": "90%"}, {"peak_headroom_ratio": 0},
                {"tensor_parallel": 2, "effective_context": "32k"})),
                (8.36, {"model": "llama-3.1-8b", "server": "dgx200", "effective_context": "32k",
                        "tensor_parallel": 2})):
            question = dict(BASE, requests_per_second=rate, **changes)
            del question["concurrency"]
            document = json.loads(self.ok(*flags(question), "--json"))
            engine, results = document["engine"], document["results"]
            cases = document["performance"]["cases"]
            new = cases[0]["input_tokens"]
            replica = at(question["model"], question["server"], engine["tensor_parallel"], 1, new,
                         1024)
            most, replicas = results["sessions_per_unit"], engine["replicas_per_node"]
            # cheio, ou com as réplicas por igual
            served = max(count / replica.latency_seconds(-(-count // replicas))
                         for count in {most, most // replicas * replicas})
            headroom = Fraction(str(document["parameters"]["peak_headroom_ratio"]))
            for case in cases:
                asked = rate * (1 + headroom * ("peak" in case["state"])) / case["nodes"]
                self.assertIs(case["covered"], asked <= served, (question, case))
                seen[case["state"], case["input_tokens"] == new, case["covered"]] += 1
            text = self.ok(*flags(question))
            failed = [case for case in cases if case["state"] == "failure"
                      and not case["covered"]][:1]
            for case in failed:  # as que a carga pede, com as réplicas cheias
                asked, = re.findall(r"(?<!pico )\b%d/([0-9]+)" % case["sessions"],
                                    text.split("Sessões/")[0])
                self.assertGreater(int(asked), case["sessions"])
                self.assertEqual(int(asked), math.ceil(
                    rate * replica.latency_seconds(-(-most // replicas))))
        for state, first in itertools.product(STATES, (True, False)):
            self.assertTrue(seen[state, first, True], seen)
            self.assertEqual(bool(seen[state, first, False]), "failure" in state, seen)

    def test_estados_prometidos(self):
        """A tela mostra o pico de quem o leva, e o risco é só do que a compra promete"""
        seen = collections.Counter()
        for ha, peak, extra in itertools.product(
                ("none", "n+1"), ("0", "20%", "80%"),
                ({"min_tokens_per_second": 25}, {"max_tpot_ms": 41, "tensor_parallel": 8},
                 {"max_ttft_ms": 1500})):
            asked = dict(self.RAG, ha=ha, peak_headroom_ratio=peak, **extra)
            document, text = self.rag(**asked), self.ok(*flags(asked))
            cases = {case["state"]: case for case in document["performance"]["cases"]}
            order = ("nominal", "failure", "failure_peak") if ha != "none" else (
                "nominal", "peak", "failure")
            expected = []
            for state in order:
                if state in cases:
                    case, refused = cases[state], ""
                    if not case["covered"]:
                        refused = "/%d" % math.ceil(300 * (1 + Fraction(1, 5) * (
                            "peak" in state)))
                    expected.append((case["nodes"], "pico " * ("peak" in state), "%d%s" % (
                        case["sessions"], refused)))
            head = text.split("\nSessões/")[0].split("\n\n")[1].splitlines()[0]
            self.assertEqual([(int(nodes), mark, sessions) for nodes, mark, sessions in re.findall(
                r"(\d+) nós?, (pico |)([\d/]+)", head)], expected, text)
            risky = {item["state"] for item in document["objectives"]
                     if item["verdict"] == "at_risk"}
            promised = bool(risky & promised_of(document))
            self.assertEqual("\nRISCO: " in text, promised, text)
            sure = kind_answer(self.rag(**dict(asked, confidence="90%")))
            self.assertEqual(any(line.startswith("objective_at_risk")
                                 for line in document["warnings"]),
                             promised or sure != kind_answer(document))
            seen[promised, bool(risky)] += 1
        self.assertTrue(seen[True, True], seen)
        both = {"concurrency": 100, "context": None, "input_tokens": 4000, "output_tokens": 500,
                "max_tpot_ms": 30.0}
        peak = sizing.size(asking("llama-3.3-70b", "dgx300", **both)).judged[1]
        both["max_ttft_ms"] = 1.1 * peak["ttft_ms"]["estimate"]
        told = sizing.warnings_of(sizing.size(asking("llama-3.3-70b", "dgx300", **both)))[0]
        self.assertRegex(told, r"^objective_at_risk: na ponta .*\. Na ponta ruim ")

    def test_confianca(self):
        """A 90% a ponta ruim da faixa atende, no pico, com os nós que restam; e mais uma não"""
        rows = ({"min_tokens_per_second": 25}, {"max_tpot_ms": 50}, {"max_ttft_ms": 1345},
                {"min_tokens_per_second": 25, "max_ttft_ms": 3000},
                {"max_tpot_ms": 30, "model": "opt-oss-120b", "server": "dgx300"},
                {"max_tpot_ms": 80, "model": "deepseek-v3.2", "server": "dgx300"})
        more = 0
        for changes in rows:
            with self.subTest(changes):
                even, sure = (self.rag(ha="n+1", confidence=level, **changes)
                              for level in ("50%", "90%"))
                self.assertEqual(even, dict(self.rag(ha="n+1", **changes)))
                self.assertEqual(sure["parameters"]["confidence"], 0.9)
                self.assertEqual({item["verdict"] for item in sure["objectives"]}, {"met"})
                self.assertEqual(len(sure["objectives"]), len(STATES) * len(
                    set(changes) - {"model", "server"}))
                self.assertGreaterEqual(sure["results"]["nodes_final"],
                                        even["results"]["nodes_final"])
                more += sure["results"]["nodes_final"] > even["results"]["nodes_final"]
                # uma réplica com uma sessão a mais já passa da ponta ruim
                results = sure["results"]
                if results["limited_by"] in ("tpot", "ttft"):
                    load = dict(changes, nodes=1, confidence="90%")
                    full = self.rag(**dict(load, concurrency=results["sessions_per_node"]))
                    self.assertEqual({item["verdict"] for item in full["objectives"]
                                      if item["state"] == "nominal"}, {"met"})
                    beyond = self.rag(**dict(load, confidence="50%", concurrency=results[
                        "sessions_per_node"] + 1))
                    self.assertIn("at_risk", {item["verdict"] for item in beyond["objectives"]
                                              if item["state"] == "nominal"})
        self.assertGreater(more, 2)
        # a calibração aperta a faixa: 90% custa menos
        tpot = {"max_tpot_ms": 40, "concurrency": 900}
        even = self.rag(calibrate_tpot_ms="30@60", **tpot)["results"]["sessions_per_unit"]
        sure = self.rag(calibrate_tpot_ms="30@60", confidence="90%", **tpot)["results"]
        self.assertLess(sure["sessions_per_unit"], even)

    def test_confianca_de_uma_taxa(self):
        """Numa taxa, a 90%, a lei de Little usa a latência da ponta ruim da vazão (÷ 0.76)"""
        base = {"model": "llama-3.1-70b", "server": "dgx200", "effective_context": "8k"}
        for rate in (4, 12, 40):
            even, sure = (json.loads(self.ok(*flags(dict(
                base, requests_per_second=rate, confidence=level)), "--json"))
                for level in ("50%", "90%"))
            self.assertGreaterEqual(sure["results"]["nodes_final"], even["results"]["nodes_final"])
            result = answer(asking("llama-3.1-70b", "dgx200", 0, 8192,
                                   requests_per_second=Fraction(rate),
                                   confidence=Fraction(9, 10)))
            self.assertEqual(result.concurrency, sure["parameters"]["concurrency"])
            replica, nodes = replica_of(result), result.nodes_final
            held = result.concurrency // nodes  # num nó: o menor ponto fixo

            def wanted(sessions, replica=replica, nodes=nodes, rate=rate):
                full = -(-sessions // replica.per_unit)
                return rate / nodes * replica.latency_seconds(full) / 0.76

            self.assertEqual(result.concurrency % nodes, 0)
            self.assertLessEqual(wanted(held), held + 1e-6)
            self.assertGreater(wanted(max(1, held - replica.per_unit)),
                               held - replica.per_unit - 1e-6)
        self.assertGreater(sure["parameters"]["concurrency"], even["parameters"]["concurrency"])

    def test_nada_cabe_a_90(self):
        """Sem estado em risco, que a 90% nada caiba também se diz, e é aviso"""
        base = {"model": "llama-3.1-8b", "server": "dgx200", "effective_context": "8k", "nodes": 1}
        for rate, fits in ((21, False), (9, True)):
            question = dict(base, requests_per_second=rate)
            document, text = json.loads(self.ok(*flags(question), "--json")), self.ok(
                *flags(question))
            self.assertEqual(document["objectives"], [])
            done = run(*flags(question), "--confidence=90%")
            self.assertEqual(done.returncode, 0 if fits else 3, done.stderr)
            told = "Com --confidence 90%: nada cabe"
            self.assertEqual("\n%s\n" % told in text, not fits, text)
            self.assertEqual("objective_at_risk: " + told in document["warnings"], not fits)
            self.assertNotIn("RISCO", text)

    def test_recusas(self):
        """--confidence sem objetivo nem taxa, e os valores que não são 50% nem 90%: status 2"""
        self.refused(flags(dict(BASE, confidence="90%")), "--confidence", "--max-tpot-ms")
        for value in ("80%", "0.51", "1", "100%", "0", "90", "-1", "nan", "", "alta"):
            self.refused(flags(dict(BASE, max_tpot_ms=50, confidence=value)), "--confidence")
        for value in ("0", "-5", "1e999", "abc", "1,5"):
            self.refused(flags(dict(BASE, min_tokens_per_second=value)),
                         "--min-tokens-per-second")
        for value in ("90%", "0.9", "0.90", "50%", ".5"):
            self.sized(max_tpot_ms=50, confidence=value)


def kind_answer(document):
    """A resposta, como a primeira tela a escreve."""
    results, parameters = document["results"], document["parameters"]
    units = results["nodes_final"] // results["nodes_per_unit"]
    return {"nodes": results["nodes_final"], "sessions": results.get("max_concurrency"),
            "context": results.get("max_context"),
            "load": units * results["sessions_per_unit"] - parameters["concurrency"]}[
        document["question"]]


# ── Log do motor ──────────────────────────────────────────────────────────────────────────────

LLAMA = {"model": "llama-3.3-70b", "server": "dgx200", "concurrency": 100,
         "effective_context": 10000, "kv_precision": "bf16", "gpu_memory_utilization": "92%"}
# Os números de um log de verdade: H200, tp 4, vLLM 0.20.
SAID = {"weights": "32.89", "kv": "90.66", "tokens": 1188336, "length": 131072, "times": "9.07",
        "graphs": "0.94"}
CONFIG = ("Initializing a V1 LLM engine (v%(version)s) with config: model='%(model)s', "
          "speculative_config=%(speculative)s, tokenizer='%(model)s', dtype=torch.bfloat16, "
          "max_seq_len=%(length)d, load_format=auto, tensor_parallel_size=%(tp)d, "
          "pipeline_parallel_size=%(pp)d, data_parallel_size=%(dp)d, %(extra)squantization=None, "
          "kv_cache_dtype=%(kv_dtype)s, device_config=cuda")
ARGUMENTS = "non-default args: {'model_tag': '%(model)s', 'host': '0.0.0.0'%(args)s}"
MEMORY = ("Model loading took %(weights)s GiB memory and 31.657031 seconds",
          "Available KV cache memory: %(kv)s GiB")
CAPACITY = ("GPU KV cache size: %(tokens)s tokens",
            "Maximum concurrency for %(thousands)s tokens per request: %(times)sx")
GRAPHS = "Graph capturing finished in 5 secs, took %(graphs)s GiB"
# Versão → (prefixo da API, do motor, da GPU de tp t, as linhas, nesta ordem).
WORDINGS = {
    "0.11.2": ("(APIServer pid=13) INFO 11-28 23:05:41 [utils.py:233] ",
               "(EngineCore_DP0 pid=178) INFO 11-28 23:05:46 [core.py:97] ",
               "(Worker_TP%d pid=20%d) INFO 11-28 23:07:10 [gpu_worker.py:298] ",
               (ARGUMENTS, CONFIG, *MEMORY, *CAPACITY, GRAPHS)),
    "0.9.1": ("INFO 07-10 10:07:14 [api_server.py:1287] ", "INFO 07-10 10:07:15 [core.py:70] ",
              "(VllmWorker rank=%d pid=32752%d) INFO 07-10 10:08:29 [gpu_worker.py:232] ",
              (CONFIG, "Model loading took %(weights)s GiB and 12.304157 seconds", MEMORY[1],
               *CAPACITY, GRAPHS)),
    "0.33.0": ("\x1b[0;36m(APIServer pid=1)\x1b[0;0m INFO 09-12 22:43:11 [api_utils.py:286] ",
               "\x1b[0;36m(EngineCore pid=229)\x1b[0;0m INFO 09-12 22:43:30 [core.py:123] ",
               "\x1b[0;36m(Worker_TP%d pid=51%d)\x1b[0;0m \x1b[32mINFO\x1b[0m 09-12 [x.py:1] ",
               (ARGUMENTS, CONFIG, *MEMORY, ", ".join(CAPACITY), GRAPHS,
                "Free memory on device (%(free)s GiB) on startup. Desired GPU memory utilization "
                "is (%(utilization)s, 125.82 GiB). Actual usage is 33.1 GiB for consumed memory "
                "(weights + non-torch), 1.46 GiB for peak activation, and 0.94 GiB for CUDAGraph "
                "memory. Replace gpu_memory_utilization config with `--kv-cache-memory=453691361` "
                "(0.42 GiB) to fit into requested memory.")),
    "0.14.1+sem.prefixos": ("", "", "", (CONFIG, *MEMORY, *CAPACITY, GRAPHS))}


def engine_log(version="0.33.0", **changes):
    """O texto de um início do motor nas palavras de uma versão; None tira a linha."""
    said = dict(SAID, version=version, model="meta-llama/Llama-3.3-70B-Instruct", tp=4, pp=1, dp=1,
                speculative="None", extra="", kv_dtype="auto", args="", free="139.2/139.8",
                utilization="0.92")
    said.update(changes)
    said["thousands"], said["tokens"] = ("{:,}".format(said[name] or 0)
                                         for name in ("length", "tokens"))
    api, engine, worker, lines = WORDINGS[version]
    text = ["Loading safetensors checkpoint shards: 100% Completed | 9/9 [00:29<00:00,  3.28s/it]"]
    for line in lines:
        if any(said[name] is None for name in re.findall(r"%\((\w+)\)", line)):
            continue
        if worker and ("Model loading" in line or "Available" in line):
            text += [worker % (rank, rank) + line % said for rank in range(said["tp"])]
        else:
            text.append((api if line == ARGUMENTS else engine) + line % said)
    return "\n".join(text) + "\n"


class LogDoMotor(Case):
    """--engine-log: o que um vllm serve escreveu, ao lado do previsto e no lugar dele"""

    def logged(self, text, *args, **changes):
        """O documento da pergunta sobre o Llama com este log."""
        with temporary_file(text.encode("utf-8", "replace")) as path:
            return json.loads(self.ok(*flags(dict(LLAMA, engine_log=path, **changes)), *args,
                                      "--json"))

    def wrong(self, text, *words, **changes):
        with temporary_file(text if isinstance(text, bytes) else text.encode()) as path:
            return self.refused(flags(dict(LLAMA, engine_log=path, **changes)), *words)

    def figures(self, document):
        return {row["name"]: row for row in document["engine_log"]["figures"]}

    def test_palavras(self):
        """As mesmas linhas nas palavras de quatro versões: os mesmos números e o mesmo teto"""
        for version in WORDINGS:
            document = self.logged(engine_log(version))
            log, found = document["engine_log"], self.figures(document)
            self.assertEqual({name: row["logged"] for name, row in found.items()}, {
                "weights_gib_per_gpu": 32.89, "kv_capacity_gib_per_gpu": 90.66,
                "cuda_graphs_gib_per_gpu": 0.94, "kv_tokens": 1188336, "max_concurrency": 9.07,
                "max_concurrency_of_logged_kv": 9.07}, version)
            self.assertEqual((log["version"], log["start"], log["starts"], log["max_model_len"],
                              log["model"]),
                             (version, 1, 1, 131072, "meta-llama/Llama-3.3-70B-Instruct"))
            engine = document["engine"]
            self.assertEqual((engine["source"], engine["layout"], engine["replicas_per_node"]),
                             ("log", "tp 4", 2))
            # 16 tokens de 80 camadas, 2 cabeças de KV por GPU de 128 dimensões, em 16 bits
            block = 16 * 80 * 2 * 2 * 128 * 2
            self.assertEqual(engine["kv_blocks"], 9066 * 2**30 // 100 // block)
            self.assertEqual(engine["sessions_held"], 1 + (engine["kv_blocks"] - 1 - 625) // 625)
            self.assertEqual((engine["weights_gib_per_gpu"], engine["kv_capacity_gib_per_gpu"]),
                             (32.89, 90.66))
            # a regra dos blocos, com o KV do log, dá a concorrência que ele diz
            self.assertAlmostEqual(found["max_concurrency_of_logged_kv"]["ratio"], 1, 3)
            ratios = [found[name]["ratio"] for name in ("kv_tokens", "max_concurrency")]
            self.assertAlmostEqual(*ratios, 3)
            self.assertFalse({"far_engine_log", "engine_log_model"} & set(self.codes(document)))

    def test_previsto(self):
        """O previsto é o da pergunta sem log, no comprimento e nas sequências do motor dele"""
        sparse = {"model": "deepseek-v3.2", "server": "dgx300", "kv_precision": "fp8"}
        for changes, tp, length, sequences, stated in (
                ({}, 4, 131072, 300, ", 'max_num_seqs': 300"), ({}, 4, 8192, 1024, ""),
                ({"server": "dgx-a100"}, 4, 131072, 256, ""), (sparse, 8, 131072, 1024, "")):
            text = engine_log(tp=tp, length=length, args=stated, free=None, kv="30").replace(
                "host': '0.0.0.0'", "gpu_memory_utilization': 0.92")
            document = self.logged(text, **changes)
            asked = dict(LLAMA, **changes)
            asked.update(effective_context=length, tensor_parallel=tp, pipeline_parallel=1,
                         gpu_memory_utilization="92%", max_num_seqs=sequences)
            plain = json.loads(self.ok(*flags(asked), "--json"))["engine"]
            self.assertEqual(plain["source"], "prediction")
            found = {name: row["predicted"] for name, row in self.figures(document).items()}
            del found["max_concurrency_of_logged_kv"]
            self.assertEqual(found, {
                "weights_gib_per_gpu": plain["weights_gib_per_gpu"],
                "kv_capacity_gib_per_gpu": plain["kv_capacity_gib_per_gpu"],
                "cuda_graphs_gib_per_gpu": plain["runtime_parts_gib_per_gpu"]["cuda_graphs"],
                "max_concurrency": plain["sessions_logged"],
                "kv_tokens": plain["kv_blocks"] * plain["block_tokens"]})
            for row in self.figures(document).values():
                self.assertAlmostEqual(row["ratio"] / (row["logged"] / row["predicted"]), 1, 6)

    def test_tokens(self):
        """O que "KV cache size" conta mudou no vLLM 0.21; o log diz qual dos dois é o dele"""
        question = {"model": "opt-oss-120b", "kv_precision": "fp8"}
        text = engine_log(model="openai/gpt-oss-120b", tp=1, kv="50", length=131072, weights=None,
                          times="19.73", tokens=2586050, kv_dtype="fp8")
        found = self.figures(self.logged(text, **question))
        self.assertAlmostEqual(found["kv_tokens"]["ratio"], found["max_concurrency"]["ratio"], 3)
        old = self.figures(self.logged(text.replace("2,586,050", "1,456,352"), **question))
        # 182044 blocos de 16 tokens, divididos por dois grupos de camadas
        self.assertAlmostEqual(old["kv_tokens"]["ratio"] / found["max_concurrency"]["ratio"], 1, 3)
        self.assertEqual(found["max_concurrency_of_logged_kv"]["predicted"],
                         sizing.rounded(182044 / 9225))
        lacking = self.figures(self.logged(
            text.replace("Maximum concurrency", "Maximum"), **question))
        self.assertEqual((lacking["kv_tokens"]["logged"], lacking["kv_tokens"]["predicted"],
                          lacking["max_concurrency"]["logged"]), (2586050, None, None))

    def test_teto(self):
        """Mais KV no log, mais sessões; vale o KV da GPU que tem menos"""
        seen = []
        for kv in ("40.5", "90.66", "95"):
            document = self.logged(engine_log(kv=kv), "--kv-budget-ratio=95%")
            seen.append(document["results"]["sessions_per_unit"])
            engine = document["engine"]
            self.assertAlmostEqual(
                engine["weights_gib_per_gpu"] + engine["kv_capacity_gib_per_gpu"]
                + engine["runtime_gib_per_gpu"], 0.92 * 139.8, 4)
        self.assertEqual(seen, sorted(set(seen)))
        text = engine_log("0.11.2")
        fewer = text.replace("90.66 GiB", "88.1 GiB", 1).replace("32.89 GiB", "33.25 GiB", 1)
        self.assertEqual((text.count("90.66 GiB"), fewer.count("90.66 GiB")), (4, 3))
        found = self.figures(self.logged(fewer))
        self.assertEqual((found["kv_capacity_gib_per_gpu"]["logged"],
                          found["weights_gib_per_gpu"]["logged"]), (88.1, 33.25))
        given = re.sub("Available KV cache memory: (.*) GiB", "Initial free memory 139.2 GiB, "
                       r"reserved \1 GiB memory for KV Cache as specified by kv_cache_memory_bytes",
                       text)
        self.assertEqual(self.logged(given)["engine"], self.logged(text)["engine"])

    def test_inicios(self):
        """De vários inícios, o último que chegou ao KV, e os números de um não passam ao outro"""
        first = engine_log("0.33.0", kv="70", graphs="5.5", args=", 'max_num_seqs': 7")
        second = engine_log("0.33.0", kv="80", graphs=None)
        failed = engine_log("0.33.0", kv=None, tokens=None, times=None, graphs=None)
        unmarked = [text.replace("non-default", "") for text in (first, second)]
        again = engine_log("0.11.2", kv="60")
        grepped = ["".join(line for line in text.splitlines(True) if "KV" in line)
                   for text in (again, again.replace("pid=", "pid=9").replace("60 GiB", "61 GiB"))]
        rows = ((first, 70, 1, 1), (first + second, 80, 2, 2), (second + first, 70, 2, 2),
                (first + failed, 70, 1, 2), (failed + first + second + failed, 80, 3, 4),
                ("".join(unmarked), 80, 2, 2), ("".join(grepped), 61, 2, 2))
        for text, kv, start, starts in rows:
            document = self.logged(text, tensor_parallel=4, pipeline_parallel=1)
            found, log = self.figures(document), document["engine_log"]
            self.assertEqual((found["kv_capacity_gib_per_gpu"]["logged"], log["start"],
                              log["starts"]), (kv, start, starts))
            if kv == 80:
                self.assertIsNone(found["cuda_graphs_gib_per_gpu"]["logged"])
                self.assertIsNone(document["parameters"]["max_num_seqs"])
        # os ranks de data parallel são de um só início
        config = next(line for line in again.splitlines() if "LLM engine" in line)
        other = config.replace("_DP0 pid=178", "_DP1 pid=179")
        ranks = self.logged(again.replace(config, config + "\n" + other))
        self.assertEqual(ranks["engine_log"]["starts"], 1)

    def test_argumentos(self):
        """O que o log diz vale como a flag; contradizê-lo é recusado, e repeti-lo, não"""
        text = engine_log(kv_dtype="fp8_e4m3", args=(
            ", 'max_num_seqs': 96, 'max_num_batched_tokens': 4096, 'max_model_len': 131072"))
        plain = dict(LLAMA)
        del plain["kv_precision"], plain["gpu_memory_utilization"]
        stated = {"tensor_parallel": 4, "pipeline_parallel": 1, "gpu_memory_utilization": 0.92,
                  "max_num_seqs": 96, "max_num_batched_tokens": 4096, "kv_precision": "fp8",
                  "speculative_tokens": 0}
        with temporary_file(text.encode()) as path:
            plain["engine_log"] = path
            found = json.loads(self.ok(*flags(plain), "--json"))
            self.assertEqual({name: found["parameters"][name] for name in stated}, stated)
            self.assertEqual(found["parameters"]["engine_log"], path)
            same = json.loads(self.ok(*flags(dict(plain, **stated)), "--json"))
            auto = json.loads(self.ok(*flags(dict(plain, tensor_parallel="auto")), "--json"))
            self.assertEqual((same, auto), (found, found))
            for name, other in {"tensor_parallel": 8, "pipeline_parallel": 2,
                                "gpu_memory_utilization": "90%", "max_num_seqs": 97,
                                "max_num_batched_tokens": 8192, "kv_precision": "bf16",
                                "speculative_tokens": 1}.items():
                self.refused(flags(dict(plain, **{name: other})),
                             "--" + name.replace("_", "-"), "o log de --engine-log diz",
                             str(stated[name]))
        drafts = engine_log(speculative="SpeculativeConfig(method='eagle3', model='x', "
                                        "num_spec_tokens=3)")
        self.wrong(drafts, "speculative_method=eagle3")
        self.wrong(drafts.replace("eagle3", "deepseek_mtp"), "--speculative-tokens", "mtp")
        for extra, words in (("decode_context_parallel_size=2, ", "decode_context_parallel_size=2"),
                             ("decode_context_parallel_size=1, ", "")):
            if words:
                self.wrong(engine_log(extra=extra), words)
            else:
                self.logged(engine_log(extra=extra))
        self.wrong(engine_log(args=", 'num_gpu_blocks_override': 512"), "num_gpu_blocks_override")
        self.wrong(engine_log(kv_dtype="turboquant_k8v4"), "kv_cache_dtype=turboquant_k8v4")

    def test_leiaute(self):
        """Sem a linha de configuração é preciso dizer o leiaute; um log de dp só onde há o dp"""
        bare = "".join(line for line in engine_log("0.11.2").splitlines(True)
                       if "LLM engine" not in line)
        self.wrong(bare, "--engine-log", "--tensor-parallel e --pipeline-parallel, que o log não")
        self.wrong(bare, "dar --pipeline-parallel, que", tensor_parallel=4)
        with temporary_file(bare.encode()) as path:
            plain = dict(LLAMA, engine_log=path, tensor_parallel=4, pipeline_parallel=1)
            del plain["gpu_memory_utilization"]
            self.refused(flags(plain), "é preciso dar --gpu-memory-utilization, que o log não diz")
        document = self.logged(bare, tensor_parallel=4, pipeline_parallel=1)
        self.assertEqual((document["engine_log"]["version"], document["engine_log"]["model"]),
                         (None, None))
        self.wrong(engine_log(dp=2), "data_parallel_size de 2 no log", "espera-se 1")
        # de um modelo denso, cada rank é um motor à parte, que diz 1 na sua configuração
        self.logged(engine_log(args=", 'data_parallel_size': 2"))
        self.wrong(engine_log(tp=3), "--tensor-parallel 3: é o que diz o log de --engine-log; ")
        mla = {"model": "deepseek-r1", "server": "dgx300", "kv_precision": "fp8"}
        spread = engine_log("0.11.2", model="deepseek-ai/DeepSeek-R1", tp=1, dp=8, kv="120",
                            weights="100", kv_dtype="fp8", tokens=None, times=None)
        self.assertEqual(self.logged(spread, **mla)["engine"]["layout"], "dp 8")
        # numa GPU, ou nas oito com as sessões de cada uma: o log diz qual
        small = dict(mla, model="mistral-small-4-119b-2603")
        for ranks, layout in ((1, "tp 1"), (8, "dp 8")):
            text = spread.replace("data_parallel_size=8", "data_parallel_size=%d" % ranks)
            self.assertEqual(self.logged(text, **small)["engine"]["layout"], layout)
        self.wrong(spread.replace("data_parallel_size=8", "data_parallel_size=4"),
                   "data_parallel_size de 4", "1 ou 8 ou 16", **mla)
        self.wrong(spread.replace("data_parallel_size=8, ", ""), "tamanho não dito", **mla)

    def test_outro_servidor(self):
        """Um log de outra GPU, ou que a utilização não explica, é recusado"""
        self.wrong(engine_log(free="78.68/79.19"), "GPUs de 79.19 GiB", "139.8 GiB")
        self.logged(engine_log(free="138.9/139.0"))
        self.wrong(engine_log("0.11.2", kv="96"), "128.89 GiB", "128.62 GiB",
                   "--gpu-memory-utilization")
        self.logged(engine_log("0.11.2", kv="96", args=", 'gpu_memory_utilization': 0.95"),
                    gpu_memory_utilization=0.95)
        # as medidas de um servidor não valem noutro, nem com outros pesos
        with temporary_file(engine_log().encode()) as path:
            shown = json.loads(self.ok(*flags(dict(LLAMA, engine_log=path)), "--explain", "--json"))
            self.assertEqual([row["change"] for row in shown["explanation"]["alternatives"]],
                             ["KV fp8", "n+1", "contexto 5000"])
            line = self.refused(flags(dict(LLAMA, engine_log=path, nodes=1, concurrency=9999)),
                                status=3)
            self.assertNotIn("cabe em", line)

    def test_avisos(self):
        """Outro modelo, números longe dos previstos, e mais sequências que as do motor do log"""
        def codes(text, **changes):
            found = set(self.codes(self.logged(text, **changes)))
            return found & {"engine_log_model", "far_engine_log", "engine_log_sequences"}

        self.assertEqual(codes(engine_log()), set())
        for name, warned in (("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", False),
                             ("/data/models/Llama-3.3-70B-Instruct/", False),
                             ("Qwen/Qwen2.5-72B-Instruct", True), ("/model", True)):
            self.assertEqual(codes(engine_log(model=name)),
                             {"engine_log_model"} if warned else set(), name)
        for changes in ({"weights": "25"}, {"kv": "60", "times": "6.0"}, {"times": "18.1"}):
            self.assertEqual(codes(engine_log(**changes)), {"far_engine_log"}, changes)
        # o KV do log é de 16 bits: em fp8 a mesma memória guarda o dobro
        self.assertEqual(codes(engine_log(), kv_precision="fp8"), {"far_engine_log"})
        self.assertEqual(codes(engine_log(), effective_context=256), {"engine_log_sequences"})
        self.assertEqual(codes(engine_log(args=", 'max_num_seqs': 500"), effective_context=256),
                         set())

    def test_telas(self):
        """A primeira tela, --explain e a página dizem o que o log diz e o que se previa"""
        with temporary_file(engine_log(graphs=None).encode()) as path:
            question = dict(LLAMA, engine_log=path)
            text = " ".join(self.ok(*flags(question)).split())
            for words in ("KV do log do motor", "vLLM 0.33.0, meta-llama/Llama-3.3-70B-Instruct, "
                          "início 1 de 1, 131072 tokens", "KV 90.66 GiB (previsto ",
                          "grafos sem linha no log (previsto ", "cache 1188336 tokens (previsto ",
                          "concorrência 9.07x (previsto "):
                self.assertIn(words, text)
            explained = json.loads(self.ok(*flags(question), "--explain", "--json"))
            rows = {row["name"]: row for row in explained["explanation"]["figures"]}
            Explicacao.check(self, question, explained["explanation"]["figures"])
            self.assertEqual([rows[name]["source"] for name in
                              ("weights_bytes", "kv_capacity_bytes")], ["log do motor"] * 2)
            self.assertEqual(rows["kv_blocks"]["value"], explained["engine"]["kv_blocks"])
            for name, figure in self.figures(explained).items():
                shown = rows.get("log_ratio_" + name)
                self.assertEqual(shown and shown["value"], figure["ratio"])
            self.assertIn("log_ratio_max_concurrency =", self.ok(*flags(question), "--explain"))
            self.assertIn("90.66 GiB (previsto", self.ok(*flags(question), "--html"))
            self.assertIn("recomendado", self.ok(*flags(question), "--scenarios"))
            point = self.logged(engine_log(), calibrate_tpot_ms="60@50", input_tokens=1000)
            self.assertAlmostEqual(point["engine"]["kv_capacity_gib_per_gpu"], 90.66)
            self.assertNotEqual(point["parameters"]["tpot_scale"], 1)
        bare = "".join(line for line in engine_log("0.11.2").splitlines(True) if "KV" in line)
        with temporary_file(bare.encode()) as path:
            text = " ".join(self.ok(*flags(dict(LLAMA, engine_log=path, tensor_parallel=4,
                                                pipeline_parallel=1))).split())
            self.assertIn("Log início 1 de 1: pesos sem linha no log (previsto 32.89)", text)
            self.assertIn("cache 1188336 tokens (sem previsão); concorrência sem linha no log "
                          "(sem previsão)", text)
        self.assertNotIn("engine_log", json.loads(self.ok(*flags(LLAMA), "--json")))

    def test_ruins(self):
        """Arquivos que não são o log de um motor que iniciou: uma linha, status 2"""
        for name, words in (("/não/existe.log", "não existe"), (ROOT, "é um diretório"),
                            ("", "não existe"), ("a\0b", "não é um caminho")):
            self.refused([*flags(LLAMA), "--engine-log=" + name], "--engine-log", words)
        for content in (b"", b"\xff\xfe\0" * 5000, os.urandom(3000), b"GiB tokens\n" * 100,
                        engine_log().encode("utf-16")):
            self.wrong(content, "--engine-log", "nenhuma linha de memória")
        self.wrong(engine_log(kv=None), "Available KV cache memory", "não há teto")
        self.wrong(engine_log(kv="-2.14"), "KV de -2.14 GiB", "não iniciou")
        self.wrong(engine_log(kv="1" * 40), "Available KV cache memory")
        long = "x" * (3 * 2**20) + "\n"
        self.assertEqual(self.logged(long + engine_log() + long)["engine"],
                         self.logged(engine_log())["engine"])
        with unittest.mock.patch.object(sizing, "MAX_LOG_BYTES", 1000), \
                temporary_file(engine_log().encode()) as path:
            done = in_this_process([*flags(LLAMA), "--engine-log=" + path])
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("o arquivo passa de", done.stderr)

    def test_combinacoes(self):
        """Numa comparação, ou sem os dados do teto, não há o que fazer do log"""
        for flag, several in (("server", "dgx200,dgx300"), ("concurrency", "10,20"),
                              ("kv_precision", "fp8,fp16")):
            self.wrong(engine_log(), "--engine-log", "não aceita comparar",
                       **{flag: several})
        raw = dict(listed("models", "llama-3.3-70b"), name="sem-vocab", aliases=[], hf_id=None)
        del raw["vocab_size"]
        with temporary_file({"models": [raw]}) as models:
            self.wrong(engine_log(), "--engine-log", "sem efeito", "vocab_size",
                       model="sem-vocab", models_file=models)


class PrimeiraTela(Case):
    """A decisão, os vereditos, o risco e o que mudaria: os números das outras execuções"""

    RAG = Objetivos.RAG
    QUESTIONS = (
        (dict(BASE, ha="n+1"), "COMPRE 3 × DGX B300  (2 atendem o pico + 1 de reserva)"),
        (dict(BASE, concurrency=100), "COMPRE 1 × DGX B300  (1 atende o pico, sem reserva)"),
        ({"model": "opt-oss-120b", "server": "dgx300"},
         "SEU DGX B300 MANTÉM até 510 sessões de 131072 tokens (o máximo do modelo)"),
        ({"model": "opt-oss-120b", "server": "dgx300", "nodes": 3, "effective_context": "32k"},
         "SEUS 3 × DGX B300 MANTÊM até 6117 sessões de 32768 tokens"),
        ({"model": "opt-oss-120b", "server": "dgx300", "nodes": 1, "concurrency": 1000},
         "SEU DGX B300 MANTÉM 1000 sessões de até 66963 tokens"),
        (dict(BASE, nodes=2), "SEUS 2 × DGX B300 MANTÊM 1000 sessões, com 226 vagas livres"),
        ({"model": "llama-3.1-8b", "server": "dgx200", "requests_per_second": 20,
          "effective_context": "8k"}, "COMPRE 2 × DGX H200  (2 atendem o pico, sem reserva)"),
        ({"model": "kimi-k2", "server": "dgx-h100", "concurrency": 100, "ha": "n+1"},
         "COMPRE 8 × DGX H100  (4 atendem o pico + 4 de reserva)"),
        ({"model": "kimi-k2", "server": "dgx-h100", "nodes": 13}, "SEUS 12 × DGX H100 MANTÊM até"),
        (dict(RAG, min_tokens_per_second=25, max_ttft_ms=2000, ha="n+1"), "COMPRE 5 × DGX H200"),
        (dict(RAG, min_tokens_per_second=25, weights_precision="fp8"), "COMPRE "),
        (dict(RAG, min_tokens_per_second=25, confidence="90%"), "COMPRE "),
        (dict(RAG, max_tpot_ms=30, shared_prefix_tokens=3000), "COMPRE "),
        (dict(RAG, nodes=4, max_tpot_ms=45), "SEUS 4 × DGX H200 MANTÊM 300 sessões, com "),
        (dict(RAG, max_ttft_ms=300), "COMPRE "),
        (dict(RAG, nodes=2, max_tpot_ms=1e6), "SEUS 2 × DGX H200 MANTÊM 300 sessões, com "),
        ({"model": "opt-oss-120b", "server": "dgx300", "concurrency": 3000,
          "context_mix": "8k:70%,32k:25%,128k:5%", "max_tpot_ms": 60}, "COMPRE "),
        ({"model": "opt-oss-120b", "server": "dgx300", "context_mix": "8k:70%,128k:30%",
          "shared_prefix_tokens": "4k", "nodes": 2}, "SEUS 2 × DGX B300 MANTÊM até "),
        ({"model": "deepseek-r1", "server": "dgx300", "concurrency": 500, "max_tpot_ms": 90,
          "effective_context": "32k"}, "COMPRE "),
        ({"model": "llama-3.1-8b", "server": "dgx200", "requests_per_second": 60, "max_tpot_ms": 20,
          "effective_context": "8k"}, "COMPRE "))

    @classmethod
    def setUpClass(cls):
        """(pergunta, JSON, texto) de cada uma."""
        cls.each = [(asked, json.loads(run(*flags(asked), "--json").stdout),
                     run(*flags(asked)).stdout) for asked, _ in cls.QUESTIONS]

    def answer_of(self, asked, **changes):
        """A resposta da pergunta com as mudanças; None se nada cabe."""
        asked = {name: value for name, value in dict(asked, **changes).items() if value}
        done = run(*flags(asked), "--json")
        self.assertIn(done.returncode, (0, 3), done.stderr)
        return None if done.returncode else kind_answer(json.loads(done.stdout))

    def test_manchete(self):
        """Cada pergunta com a sua manchete, em 80 colunas, e os números do JSON"""
        kinds = set()
        for (_, headline), (_, document, text) in zip(self.QUESTIONS, self.each):
            self.assertTrue(text.startswith(headline), text)
            kinds.add(document["question"])
            body = self.screen(text, 27)
            joined = " ".join(" ".join(body).split())
            nodes, answered = document["results"]["nodes_final"], kind_answer(document)
            first = body[0].split("  ")[0]
            self.assertIn("SEU " if nodes == 1 and "SEU" in first else "%d × " % nodes, first)
            self.assertIn("%d" % answered, joined.split(" Pedido:")[0])
            self.assertIn("%s, pesos %s, KV %s · " % (
                document["model"]["name"], document["parameters"]["weights_precision"],
                document["parameters"]["kv_precision"]), joined)
            self.assertIn("%s kW" % ("%.2f" % document["physical"]["power_kw"]).rstrip(
                "0").rstrip("."), joined)
            self.assertIn("Sessões/", joined)
            bars = [line for line in body if line.startswith("[")]
            if len(text.splitlines()) < 24:  # senão a barra cede o lugar
                self.assertEqual(len(bars), int("HBM por nó" in joined))
            for bar in bars:
                self.assertRegex(bar, r"^\[▓+▒+█*░*\.*\]$")
                self.assertEqual(len(bar), 80)
        self.assertEqual(kinds, {"nodes", "sessions", "context", "load"})

    def test_barra(self):
        """A barra da HBM em 80 colunas e as partes que somam, com prefixo, mistura e dp"""
        for asked in (dict(BASE, shared_prefix_tokens="64k", model=model, server=server,
                           tensor_parallel=tp)
                      for model, server in (("opt-oss-120b", "dgx300"), ("deepseek-r1", "dgx300"),
                                            ("llama-3.1-8b", "dgx200")) for tp in (1, 8)):
            for mix in (None, "70k:60%,90k:30%,128k:10%"):
                question = dict(asked, **({"context_mix": mix} if mix else {}))
                if mix:
                    del question["effective_context"]
                with unittest.mock.patch.object(sizing, "SCREEN_LINES", 99):  # sempre com a barra
                    text = in_this_process(flags(question)).stdout
                found = re.search(r"HBM por nó +(\d+) GiB: ▓ pesos (\d+) +▒ motor (\d+) +█ KV (\d+)"
                                  r" +░ livre (\d+) +\. fora (\d+)\n(\[.*\])\n", text)
                whole, *parts = map(int, found.groups()[:6])
                self.assertLessEqual(abs(whole - sum(parts)), 3)
                self.assertEqual(len(found[7]), 80)
                document = json.loads(self.ok(*flags(question), "--json"))
                results, engine = document["results"], document["engine"]
                unit = results["nodes_per_unit"]
                copies = engine["data_parallel"] * (engine["replicas_per_node"] or 1 / unit)
                held = (results["sessions_per_unit"] / unit * results["kv_own_mean_bytes"]
                        + copies * results["shared_prefix_bytes"]) / 2**30
                if question["model"] == "deepseek-r1":
                    # cada GPU do tp repete o vetor latente, e a maior etapa é a que se mostra
                    stages = engine["pipeline_parallel"]
                    held *= engine["tensor_parallel"] * -(-61 // stages) * stages / 61
                self.assertAlmostEqual(parts[2] / held, 1, delta=0.01)
                for mark, part in zip("▓▒█░.", parts):
                    self.assertLessEqual(abs(found[7].count(mark) - part * 78 / whole), 1)

    def test_vereditos(self):
        """As palavras da tabela de metas são os vereditos do JSON, na ordem dos estados"""
        judged = 0
        for _, document, text in self.each:
            seen = re.findall(r"(?m)^(TPOT ≤|≥|1º token ≤).*", text)
            self.assertEqual(bool(seen), bool(document["objectives"]))
            lines = [line for line in text.replace("\n  ", " ").splitlines()
                     if line.startswith(tuple(GOALS.values()))]
            words = [word for line in lines for word in re.findall(r"\b(ok|RISCO|não)\b", line)]
            states = {case["state"] for case in shown_of(document)}
            self.assertEqual(words, [WORDS[item["verdict"]] for item in document["objectives"]
                                     if item["state"] in states])
            self.assertEqual(len(lines), len({item["name"] for item in document["objectives"]}))
            judged += len(words)
        self.assertGreater(judged, 20)

    def test_risco(self):
        """RISCO se a faixa passa do limite; com --confidence 90%, a resposta da própria flag"""
        counted = collections.Counter()
        for asked, document, text in self.each:
            risky = [item for item in document["objectives"] if item["verdict"] == "at_risk"
                     and item["state"] in promised_of(document)]
            self.assertEqual("\nRISCO: na ponta ruim" in text, bool(risky))
            if risky:
                item = risky[-1]
                edge = item["low" if item["name"] == "tokens_per_second" else "high"]
                divisor = 1000 if item["name"] == "ttft_ms" else 1
                (shown,) = re.findall(r"faixa de 80%, (?:TPOT de |1º token em )?([0-9.]+)", text)
                self.assertAlmostEqual(float(shown) / (edge / divisor), 1, delta=0.006)
            found = re.search(r"\nCom --confidence 90%: (nada cabe|\d+)", text)
            limited = set(asked) & {"max_tpot_ms", "min_tokens_per_second", "max_ttft_ms",
                                    "requests_per_second"}
            if not limited or "confidence" in asked:
                self.assertIsNone(found)
                continue
            sure = self.answer_of(asked, confidence="90%")
            self.assertEqual(bool(found), bool(risky) or sure != kind_answer(document), text)
            if found:
                self.assertEqual(found[1], "nada cabe" if sure is None else str(sure))
                counted[found[1] == "nada cabe"] += 1
        self.assertTrue(counted[True] and counted[False] > 3, counted)

    def test_mudaria(self):
        """Cada resposta de "Mudaria" é a da pergunta com a flag que ela nomeia"""
        seen = set()
        servers = {server.get("product"): server["name"]
                   for server in catalogue("servers")["servers"]}
        for asked, document, text in self.each:
            found = re.search(r"\nMudaria +(.*)\n", text)
            for part in found[1].split(" · ") if found else ():
                change, shown = re.fullmatch(r"(.*): ([0-9]+|nada cabe)(?: [^\d]+)?", part
                                             ).groups()
                kind, _, value = change.partition(" ")
                whole = {"effective_context": document["parameters"]["effective_context"],
                         "cached_tokens": None, "shared_prefix_tokens": None}
                prompt = whole["effective_context"] - document["parameters"]["output_tokens"]
                changes = {
                    "pesos": {"weights_precision": value}, "KV": {"kv_precision": value},
                    "n+1": {"ha": "n+1"}, "contexto": {"effective_context": value},
                    **{more: {"gpu_memory_utilization": more} for more in ("92%", "95%")},
                    "confiança": {"confidence": value}, "sem": dict(whole, input_tokens=prompt),
                    "prefixo": dict(whole, input_tokens=1024)}.get(
                        kind, {"server": servers.get(change)})
                seen.add(kind if changes.get("server", "") == "" else "servidor")
                result = self.answer_of(asked, **changes)
                self.assertEqual(shown, "nada cabe" if result is None else str(result), part)
                self.assertNotEqual(result, kind_answer(document))
        self.assertEqual(seen - {"92%", "95%"}, {"pesos", "KV", "n+1", "contexto", "confiança",
                                                 "sem", "prefixo", "servidor"})


# ── config.json do Hugging Face ───────────────────────────────────────────────────────────────

# config.json de modelos do catálogo, sem os campos que não mudam nada: o que o leitor entende
# tem de dar o mesmo que a entrada, montada de outra fonte.
LLAMA_8B = {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
            "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
            "vocab_size": 128256, "max_position_embeddings": 131072, "torch_dtype": "bfloat16",
            "tie_word_embeddings": False, "rope_scaling": {"factor": 8.0, "rope_type": "llama3"}}
CONFIGS = {
    "llama-3.1-8b": LLAMA_8B,
    "opt-oss-120b": {
        "model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880, "head_dim": 64,
        "num_attention_heads": 64, "num_hidden_layers": 36, "num_key_value_heads": 8,
        "vocab_size": 201088, "max_position_embeddings": 131072, "sliding_window": 128,
        "num_local_experts": 128, "num_experts_per_tok": 4, "tie_word_embeddings": False,
        "layer_types": ["sliding_attention", "full_attention"] * 18,
        "rope_scaling": {"factor": 32.0, "original_max_position_embeddings": 4096,
                         "rope_type": "yarn"},
        "quantization_config": {"quant_method": "mxfp4"}},
    "qwen3-235b": {
        "model_type": "qwen3_moe", "hidden_size": 4096, "intermediate_size": 12288,
        "head_dim": 128, "num_attention_heads": 64, "num_hidden_layers": 94,
        "num_key_value_heads": 4, "vocab_size": 151936, "max_position_embeddings": 40960,
        "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 1536,
        "decoder_sparse_step": 1, "mlp_only_layers": [], "sliding_window": None,
        "use_sliding_window": False, "max_window_layers": 94, "tie_word_embeddings": False},
    "deepseek-r1": {
        "model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432,
        "num_attention_heads": 128, "num_key_value_heads": 128, "num_hidden_layers": 61,
        "vocab_size": 129280, "max_position_embeddings": 163840, "kv_lora_rank": 512,
        "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
        "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
        "moe_intermediate_size": 2048, "first_k_dense_replace": 3, "moe_layer_freq": 1,
        "num_nextn_predict_layers": 1, "tie_word_embeddings": False,
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
    "qwen3-next": {
        "model_type": "qwen3_next", "hidden_size": 2048, "intermediate_size": 5120,
        "head_dim": 256, "num_attention_heads": 16, "num_key_value_heads": 2,
        "num_hidden_layers": 48, "vocab_size": 151936, "max_position_embeddings": 262144,
        "full_attention_interval": 4, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128,
        "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_value_head_dim": 128,
        "num_experts": 512, "num_experts_per_tok": 10, "moe_intermediate_size": 512,
        "shared_expert_intermediate_size": 512, "tie_word_embeddings": False},
    "gemma-3-27b": {
        "model_type": "gemma3", "text_config": {
            "model_type": "gemma3_text", "head_dim": 128, "hidden_size": 5376,
            "intermediate_size": 21504, "num_attention_heads": 32, "num_hidden_layers": 62,
            "num_key_value_heads": 16, "sliding_window": 1024},
        "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 1152,
                          "intermediate_size": 4304, "num_hidden_layers": 27}},
    "gemma-4-31b": {
        "model_type": "gemma4", "tie_word_embeddings": True, "text_config": {
            "model_type": "gemma4_text", "attention_k_eq_v": True, "global_head_dim": 512,
            "head_dim": 256, "hidden_size": 5376, "intermediate_size": 21504,
            "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 10,
            "num_attention_heads": 32, "num_global_key_value_heads": 4, "num_hidden_layers": 60,
            "use_bidirectional_attention": "vision",
            "num_key_value_heads": 16, "sliding_window": 1024, "vocab_size": 262144,
            "max_position_embeddings": 262144, "moe_intermediate_size": 704,
            "hidden_size_per_layer_input": 0},
        "vision_config": {"model_type": "gemma4_vision", "hidden_size": 1152,
                          "intermediate_size": 4304, "num_hidden_layers": 27}},
    "deepseek-v4": {
        "model_type": "deepseek_v4", "hidden_size": 7168, "num_hidden_layers": 61,
        "num_attention_heads": 128, "num_key_value_heads": 1, "head_dim": 512,
        "vocab_size": 129280, "max_position_embeddings": 1048576, "sliding_window": 128,
        "compress_ratios": [128 if i % 2 or not i else 4 for i in range(61)] + [0],
        "index_head_dim": 128, "index_n_heads": 64, "index_topk": 1024, "q_lora_rank": 1536,
        "o_lora_rank": 1024, "o_groups": 16, "qk_rope_head_dim": 64, "n_routed_experts": 384,
        "n_shared_experts": 1, "num_experts_per_tok": 6, "moe_intermediate_size": 3072,
        "num_nextn_predict_layers": 1, "expert_dtype": "fp4", "tie_word_embeddings": False,
        "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
    "nvidia-nemotron-3-nano-30b-a3b-bf16": {
        "model_type": "nemotron_h", "hidden_size": 2688, "intermediate_size": 1856,
        "head_dim": 128, "num_attention_heads": 32, "num_key_value_heads": 2,
        "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
        "vocab_size": 131072, "max_position_embeddings": 262144, "mamba_num_heads": 64,
        "mamba_head_dim": 64, "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4,
        "mamba_ssm_cache_dtype": "float32", "n_routed_experts": 128, "num_experts_per_tok": 6,
        "moe_intermediate_size": 1856, "n_shared_experts": 1, "tie_word_embeddings": False,
        "moe_shared_expert_intermediate_size": 3712, "time_step_limit": [0.0, float("inf")]},
}


# Família, hidden_size do texto, configs das torres e os parâmetros de visão e de áudio que a
# transformers 5.24 conta no modelo que constrói; o que falta no config é o padrão das classes.
TOWER_COUNTS = (
    ("llava", 4096, {"vision_config": {
        "model_type": "clip_vision_model", "hidden_size": 1024, "image_size": 336,
        "patch_size": 14, "intermediate_size": 4096, "num_hidden_layers": 24}}, 324487168, 0),
    ("llava_onevision", 3584, {}, 414732320, 0),
    ("mistral3", 5120, {"vision_config": {"model_type": "pixtral", "patch_size": 14}},
     438958080, 0),
    ("qwen2_vl", 1536, {"vision_config": {"hidden_size": 1536}}, 665271296, 0),
    ("qwen2_5_vl", 2048, {"vision_config": {"hidden_size": 1280, "out_hidden_size": 2048}},
     668684288, 0),
    ("qwen3_vl", 2560, {"vision_config": {
        "out_hidden_size": 2560, "deepstack_visual_indexes": [5, 11]}}, 515024112, 0),
    ("gemma3", 2560, {"vision_config": {
        "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304,
        "num_hidden_layers": 27, "image_size": 896, "patch_size": 14, "vision_use_head": False}},
     419816304, 0),
    ("gemma4", 2304, {"vision_config": {"num_hidden_layers": 4},
                      "audio_config": {"num_hidden_layers": 3}}, 55849472, 81740960),
    ("llama4", 5120, {"vision_config": {"hidden_size": 1408}}, 890913280, 0),
    ("mllama", 4096, {}, 867749395, 0),
    ("internvl", 2048, {"vision_config": {
        "model_type": "internvl_vision", "attention_bias": True}}, 316607488, 0),
    ("kimi_k25", 7168, {"vision_config": {"num_hidden_layers": 2}}, 90156320, 0),
    ("glm4v", 4096, {"vision_config": {"depth": 6}}, 382835200, 0),
    ("step3p7", 4096, {"vision_config": {"num_hidden_layers": 5}}, 427512064, 0),
    ("qwen2_5_omni", 3584, {"thinker_config": {
        "vision_config": {"depth": 2, "hidden_size": 1280},
        "audio_config": {"encoder_layers": 2}}}, 85484144, 49362432),
    ("voxtral", 3072, {}, 0, 662134784),
    ("muse_spark", 8192, {"vision_config": {"num_hidden_layers": 2}}, 152852992, 117840384))


# ── Checkpoints em pastas ─────────────────────────────────────────────────────────────────────

TENSOR_BITS = {"BF16": 16, "F32": 32, "F8_E4M3": 8}


def header_of(tensors, **metadata):
    """O cabeçalho safetensors de {nome: (tipo, forma)}, e os bytes que ele descreve."""
    header, end = {"__metadata__": metadata}, 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + -(-math.prod(shape) * TENSOR_BITS[dtype] // 8)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    return header, end


def write_shard(path, header, data_bytes, length=None):
    """Um safetensors esparso: só o cabeçalho (um documento, ou bytes) ocupa o disco."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write((len(header) if length is None else length).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + data_bytes)


@contextlib.contextmanager
def checkpoint_folder(config, shards, index=None):
    """Uma pasta com config.json, {arquivo: tensores} e, se dado, o índice."""
    with tempfile.TemporaryDirectory() as folder:
        documents = {"config.json": config, "model.safetensors.index.json": index}
        for name, document in documents.items():
            if document is not None:
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    json.dump(document, file)
        for name, tensors in shards.items():
            write_shard(os.path.join(folder, name), *header_of(tensors, format="pt"))
        yield folder


def linears(prefix, shapes, dtype="BF16"):
    return {"%s%s.weight" % (prefix, name): (dtype, shape) for name, shape in shapes.items()}


def ffn(prefix, hidden, width, dtype="BF16"):
    return linears(prefix, {"gate_proj": (width, hidden), "up_proj": (width, hidden),
                            "down_proj": (hidden, width)}, dtype)


def llama_tensors(layers=32, hidden=4096, width=14336, kv=1024, vocab=128256, prefix="model."):
    """Os tensores de um Llama denso."""
    tensors = {prefix + "embed_tokens.weight": ("BF16", (vocab, hidden)),
               prefix + "norm.weight": ("BF16", (hidden,)),
               "lm_head.weight": ("BF16", (vocab, hidden))}
    for i in range(layers):
        layer = "%slayers.%d." % (prefix, i)
        tensors.update(linears(layer, {
            "self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (kv, hidden),
            "self_attn.v_proj": (kv, hidden), "self_attn.o_proj": (hidden, hidden),
            "input_layernorm": (hidden,), "post_attention_layernorm": (hidden,)}))
        tensors.update(ffn(layer + "mlp.", hidden, width))
    return tensors


DEEPSEEK_TINY = {
    "model_type": "deepseek_v3", "hidden_size": 256, "intermediate_size": 512,
    "num_attention_heads": 4, "num_key_value_heads": 4, "num_hidden_layers": 3,
    "vocab_size": 1024, "max_position_embeddings": 4096, "q_lora_rank": 128, "kv_lora_rank": 128,
    "qk_nope_head_dim": 64, "qk_rope_head_dim": 64, "v_head_dim": 64, "n_routed_experts": 8,
    "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 128,
    "first_k_dense_replace": 1, "num_nextn_predict_layers": 1, "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}


def deepseek_tensors():
    """Os de DEEPSEEK_TINY: a camada 3 é a MTP; o que é quantizado tem escalas por bloco."""
    hidden, vocab = 256, 1024
    table = {"embed_tokens": (vocab, hidden), "norm": (hidden,)}
    tensors = {**linears("model.", table), **linears("", {"lm_head": (vocab, hidden)})}
    for i in range(4):
        layer = "model.layers.%d." % i
        quantized = linears(layer + "self_attn.", {
            "q_a_proj": (128, hidden), "q_b_proj": (512, 128), "kv_b_proj": (512, 128),
            "kv_a_proj_with_mqa": (192, hidden), "o_proj": (hidden, 256)}, "F8_E4M3")
        if i == 0:
            quantized.update(ffn(layer + "mlp.", hidden, 512, "F8_E4M3"))
        else:
            tensors.update(linears(layer + "mlp.", {"gate": (8, hidden)}))
            for expert in ("shared_experts", *map("experts.{}".format, range(8))):
                quantized.update(ffn(layer + "mlp.%s." % expert, hidden, 128, "F8_E4M3"))
        tensors.update(quantized)
        tensors.update({name + "_scale_inv": ("F32", [-(-size // 128) for size in shape])
                        for name, (_, shape) in quantized.items()})
    tensors.update(linears("model.layers.3.", {
        "embed_tokens": (vocab, hidden), "shared_head.head": (vocab, hidden),
        "eh_proj": (hidden, 2 * hidden), "enorm": (hidden,), "hnorm": (hidden,)}))
    return tensors


def sharded(tensors, count):
    """({arquivo: tensores}, o índice que os descreve)."""
    names, shards = list(tensors), {}
    for i in range(count):
        part = names[i * len(names) // count:(i + 1) * len(names) // count]
        shards["model-%05d-of-%05d.safetensors" % (i + 1, count)] = {
            name: tensors[name] for name in part}
    weight_map = {name: file for file, part in shards.items() for name in part}
    return shards, {"metadata": {"total_size": header_of(tensors)[1]}, "weight_map": weight_map}


# Família, ou a raiz de várias modalidades, e os campos que a classe não dá: h hidden_size,
# a cabeças, l camadas, v vocabulário, f e m as larguras da FFN e do especialista, e especialistas;
# e o que a transformers 5.24 constrói: parâmetros, os dos especialistas, os de um token e o KV de
# 8192 tokens em bf16.
FAMILY_TRUTH = """
afmoe h=2048 f=6144 m=1408 a=16 e=64 l=32 v=200192
  = 19232600000 17163091968 3678547904 738197504
bailing_hybrid h=2560 f=6144 m=768 a=32 e=512 l=42 v=157184
  = 124414191072 120795955200 5505672672 105340928
cohere2 h=8192 f=22528 a=64 l=40 v=256000
  = 34980831232 0 34980831232 6710886400
deepseek_v4 h=4096 m=2048 e=256 a=64 l=43 v=129280
  = 284325869015 277025390592 13793261015 54493184
exaone4 h=4096 f=16384 a=32 l=32 v=102400
  = 9429069824 0 9429069824 2684354560
falcon_h1 h=4096 f=14336 mamba_d_conv=4 mamba_d_ssm=1024 mamba_d_state=256 mamba_n_groups=1 a=32
  l=32 v=128000
  = 8514961408 0 8514961408 1090813952
gemma3n_text
  = 6835235568 0 6835235568 83886080
hunyuan_v1_moe h=4096 f=11008 a=32 e=16 l=32 v=290943
  = 78118129664 69256347648 13190303744 4294967296
hy_v3 h=4096 f=13312 m=1536 a=64 e=192 l=80 v=120832
  = 295033528320 286286413824 20675715072 2684354560
jamba h=4096 f=14336 mamba_d_conv=4 mamba_d_state=16 a=32 l=32 v=65536
  = 51570323328 45097156608 12110311296 142934016
kolibri1 h=2560 m=512 a=48 l=50 e=384 v=128000
  = 78103055360 75497472000 3785231360 209797120
laguna h=2048 f=8192 m=512 e=256 l=40 v=100352 a=48
  = 33189975808 31406948352 2764494592 1342177280
llama4_text h=5120 f=8192 a=40 l=48 e=16 v=202048
  = 107769861120 96636764160 17172894720 1610612736
mamba2 conv_kernel=4 h=4096 n_groups=8 l=64 state_size=128 v=32768
  = 7285403648 0 7285403648 138149888
mimo_v2_flash h=4096 f=16384 m=2048 e=256 a=64 l=48 v=152576
  = 308778768832 302795194368 15445924288 214502400
minimax h=4096 f=14336 a=32 l=32 e=8 v=32000
  = 47373946880 45097156608 13551079424 553648128
minimax_m3_vl_text h=6144 f=3072 a=64 l=60 e=128 v=200064
  = 447186441216 434865438720 25910547456 1006632960
olmo_hybrid h=3840 f=11008 linear_key_head_dim=96 linear_num_key_heads=30
  linear_num_value_heads=30 linear_value_head_dim=192 a=30 l=32 v=100352
  = 7430870688 0 7430870688 1034833920
qwen3_next h=2048 m=512 a=16 e=512 l=48 v=151936
  = 79674391296 77309411328 3874929408 240844800
sarvam_moe h=4096 f=8192 m=1024 e=128 a=64 l=19 v=262144
  = 32152648064 28991029248 4520573312 159383552
smollm3 h=2048 f=11008 a=16 l=36 v=128256
  = 3075098624 0 3075098624 603979776
glm5_next h=4096 f=12288 m=2048 e=288 a=64 l=45 v=154880
  = 313786889214 304405807104 17376726526 192831488
hy_v4_vl h=6144 f=18432 m=2048 e=256 a=64 l=78 v=120832
  = 771142515869 744103084032 49057526429 758808576
mistral_large4 h=6144 f=24576 m=6144 e=128 a=64 l=72 v=204800
  = 1051822421536 1029181538304 53098587680 738459648
muse_spark h=8192 m=4096 a=128 l=62 e=256 v=202048
  = 822036513792 798863917056 46091116544 922746880
"""
FIELD_LETTERS = {"h": "hidden_size", "a": "num_attention_heads", "l": "num_hidden_layers",
                 "v": "vocab_size", "f": "intermediate_size", "m": "moe_intermediate_size",
                 "e": "num_experts"}


class HuggingFace(Case):
    """config.json do Hugging Face: os mesmos números do catálogo, ou a recusa do campo"""

    def entry(self, config, *args):
        """A entrada que --print-model mostra para um config.json."""
        with temporary_file(config) as path:
            return json.loads(self.ok("--hf-config", path, "--print-model", *args))

    def test_familias(self):
        """O que a transformers constrói com os padrões da classe: parâmetros e KV, 25 famílias"""
        for row in FAMILY_TRUTH.strip().replace("\n  ", " ").splitlines():
            described, counted = row.split(" = ")
            name, *pairs = described.split()
            text = {FIELD_LETTERS.get(field, field): int(value)
                    for field, value in (pair.split("=") for pair in pairs)}
            text["max_position_embeddings"] = 32768
            nested = name in sizing.HF_ROOTS
            config = {"model_type": name, **({"text_config": text} if nested else text)}
            with self.subTest(name):
                entry = entry_from_config(config)
                *params, kv_bytes = map(int, counted.split())
                for field, wanted in zip(("params_total", "params_experts", "params_active"),
                                         params):
                    self.assertLessEqual(abs(entry.get(field, 0) - wanted), wanted / 1000, field)
                self.assertEqual(session_bytes(entry_of("models", entry), 8192, "bf16"), kv_bytes)

    def test_hostis(self):
        """Camadas, campos, objetos e padrões demais: o campo, antes de qualquer conta"""
        loose = {key: value for key, value in LLAMA_8B.items() if key != "num_hidden_layers"}
        listed = ["full_attention"] * 5000
        nested = LLAMA_8B
        for _ in range(50):
            nested = {"model_type": "llava", "text_config": nested}
        fp8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}

        def ignoring(*entries):
            return dict(LLAMA_8B, quantization_config=dict(fp8, modules_to_not_convert=entries))

        for config, words in (
                (dict(loose, layer_types=listed), ["layer_types", "até 4096 camadas"]),
                (dict(loose, layer_types="M" * 5000), ["layer_types", "até 4096 camadas"]),
                ({**LLAMA_8B, **{"campo%d" % i: 1 for i in range(1001)}}, ["até 1000 campos"]),
                (nested, ["menos objetos aninhados"]),
                (ignoring(*("re:.*layers.%d.mlp" % i for i in range(1000))),
                 ["quantization_config", "padrões demais", ": 1000"]),
                (ignoring("re:.*a.*b.*c.*d.*e"), ["padrões demais", ": 1"]),
                (dict(LLAMA_8B, quantization_config={
                    "quant_method": "modelopt", "quant_algo": "MIXED_PRECISION",
                    "quantized_layers": {"l%d" % i: {"x": i} for i in range(1001)}}),
                 ["até 1000 formatos"])):
            with temporary_file(config) as path:
                self.refused(["--hf-config", path, "--print-model"], path, *words)
        self.assertTrue(self.entry(ignoring("re:.*self_attn.*", r"re:.*mlp\.(gate|up)_proj.*")))
        with unittest.mock.patch.object(sizing, "MAX_NAMES", 10), temporary_file(ignoring(
                *("layers.%d.mlp" % i for i in range(11)))) as path:
            done = in_this_process(["--hf-config", path, "--print-model"])
            self.assertIn("até 10 nomes", done.stderr)
        text = json.dumps(LLAMA_8B)[:-1] + ',\n"hidden_size": 8192}'
        with temporary_file(text.encode()) as path:
            self.refused(["--hf-config", path, "--print-model"],
                         "linha 2, hidden_size: chave repetida, já usada na linha 1")
        self.assertRaises(SizingError, sizing.index_shards, "índice", {
            "weight_map": {"t%d" % i: "%d.safetensors" % i for i in range(10001)}})

    def test_padroes_da_classe(self):
        """O campo que falta tem o padrão da classe; o que o código não serve é recusado"""
        llama = LLAMA_8B
        self.assertGreater(len(sizing.HF_FAMILIES), 100)
        absent = {key: value for key, value in llama.items()
                  if key not in ("num_key_value_heads", "head_dim")}
        for name, kv_heads, head_dim, window in (
                ("llama", 32, 128, None), ("mistral", 8, 128, 4096), ("seed_oss", 8, 128, None),
                ("gpt_oss", 8, 64, 128), ("glm", 2, 128, None), ("gemma", 16, 256, None)):
            config = {**absent, "model_type": name}
            if name == "gpt_oss":
                config["num_experts"] = 8
            groups = entry_of("models", entry_from_config(config)).kv_groups
            self.assertEqual({group.elements_per_token for group in groups},
                             {2 * kv_heads * head_dim}, name)
            self.assertIn(window, [group.cap_tokens for group in groups])
        deepseek = CONFIGS["deepseek-r1"]
        dense = {key: value for key, value in deepseek.items() if key != "first_k_dense_replace"}
        self.assertEqual(entry_from_config(dense)["moe_layers"], 58)
        for config, field in (
                ({**llama, "model_type": "foo", "text_config": llama}, "model_type"),
                ({"model_type": ["llava"], "tie_word_embeddings": False, "text_config": llama},
                 "model_type"),
                ({**deepseek, "moe_layer_freq": 2}, "moe_layer_freq"),
                ({**deepseek, "n_routed_experts": None}, "n_routed_experts"),
                ({**deepseek, "n_routed_experts": 1}, "n_routed_experts"),
                ({**llama, "model_type": "kimi_linear", "num_experts": 8,
                  "tie_word_embeddings": True}, "tie_word_embeddings"),
                ({**llama, "model_type": "laguna", "num_experts": 8, "gating": "x"}, "gating"),
                ({**CONFIGS["deepseek-v4"], "compress_ratios": None,
                  "layer_types": ["full_attention"] * 61}, "layer_types"),
                ({**llama, "quantization_config": {
                    "quant_method": "fp8", "modules_to_not_convert": ["re:(a|b)*"]}}, "repetidos")):
            with self.assertRaisesRegex(SizingError, field):
                entry_from_config(config)

    def test_camada_por_camada(self):
        """per_layer_config e listas dizem o valor de cada camada; a raiz decide se amarra"""
        config = {**LLAMA_8B, "head_dim": 128, "num_attention_heads": 16}
        plain, wide = (entry_from_config({**config, "per_layer_config": layers})["params_total"]
                       for layers in ({}, {"03": {"num_attention_heads": 32}}))
        self.assertEqual(wide - plain, 2 * 16 * 128 * config["hidden_size"])
        listed = entry_from_config({**config, "num_attention_heads_per_layer": [16] * 31 + [32]})
        self.assertEqual(listed["params_total"], wide)
        wide_type = {"model_type": "gemma3", "torch_dtype": "float32", "vision_config": None}
        half, single = (entry_from_config({**wide_type, "text_config": {**config, **text}})
                        for text in ({"torch_dtype": "bfloat16"}, {"torch_dtype": None}))
        self.assertLess(half["weights_dense_bytes"], single["weights_dense_bytes"])
        table = config["vocab_size"] * config["hidden_size"]
        counts = {(root, outer, inner): entry_from_config(
            {"model_type": root, "tie_word_embeddings": outer, "vision_config": None,
             "text_config": {**config, "tie_word_embeddings": inner}})["params_total"]
            for root in ("llava", "gemma3", "llama4")
            for outer in (True, False) for inner in (True, False)}
        for root, tied in (("llava", [(1, 1), (1, 0), (0, 1)]), ("gemma3", [(1, 1), (1, 0)]),
                           ("llama4", [(1, 1), (0, 1)])):
            untied = counts[root, False, False]
            for (name, outer, inner), count in counts.items():
                if name == root:
                    self.assertEqual(untied - count, table * ((outer, inner) in tied), name)

    def test_campos_da_familia(self):
        """Um campo que a família não usa não muda a conta; o que ela supõe não se acusa"""
        gpt, llama = CONFIGS["opt-oss-120b"], LLAMA_8B
        for config, field in (
                (dict(gpt, moe_intermediate_size=1440), "moe_intermediate_size = 1440"),
                ({**llama, "model_type": "granitemoehybrid"}, "layer_types"),
                ({**llama, "model_type": "nemotron_h"}, "layer_types"),
                ({**llama, "layer_types": ["mamba"] * 32}, "não as lineares")):
            with temporary_file(config) as path:
                self.refused(["--hf-config", path, "--print-model"], field)
        self.assertEqual(self.entry({**llama, "use_sliding_window": True})["num_layers"], 32)
        with temporary_file({**llama, "model_type": "llama4_text", "num_local_experts": 0}) as path:
            self.refused(["--hf-config", path, "--print-model"], "num_local_experts")
        # um null do texto vale o que a raiz diz
        tied = self.entry({**llama, "tie_word_embeddings": True})
        nested = self.entry({"tie_word_embeddings": True,
                             "text_config": {**llama, "tie_word_embeddings": None}})
        self.assertEqual(nested["params_total"], tied["params_total"])

    def tower_params(self, config, hidden):
        data, _, _ = sizing.parse_json("config.json", json.dumps(config).encode())
        return sizing.tower_params(sizing.HfConfig("config.json", data), hidden)

    def test_torres(self):
        """As torres e os projetores têm os parâmetros dos modelos da transformers 5.24"""
        for kind, hidden, config, vision, audio in TOWER_COUNTS:
            with self.subTest(kind):
                counted = self.tower_params({"model_type": kind, **config}, hidden)
                expected = {"vision": vision, "audio": audio}
                self.assertEqual(counted, {name: n for name, n in expected.items() if n})
        self.assertEqual(self.tower_params(LLAMA_8B, 4096), {})

    def test_torre_que_nao_se_conta(self):
        """Uma torre desconhecida, ou um campo que a mudaria, é recusada; o que falta é dito"""
        for kind, vision, field in (
                ("llava", {"model_type": "vit_novo"}, "vision_config.model_type"),
                ("familia_nova", {"hidden_size": 1024}, "model_type"),
                ("nemotron_h_omni", {"use_swiglu_ffn": True}, "vision_config.use_swiglu_ffn"),
                ("llava", {"model_type": ["clip"]}, "vision_config.model_type"),
                ("llava", {"patch_size": 0}, "vision_config.patch_size"),
                ("internvl", {"image_size": [448, 224]}, "vision_config.image_size"),
                ("qwen3_vl", {"depth": "27"}, "vision_config.depth"),
                ("qwen3_vl", 3, "vision_config")):
            with self.subTest(field), self.assertRaises(sizing.SizingError) as caught:
                self.tower_params({"model_type": kind, "vision_config": vision}, 4096)
            self.assertIn(field, str(caught.exception))
        omni = sizing.HfConfig("config.json", {
            "model_type": "qwen2_5_omni", "talker_config": {"hidden_size": 896},
            "thinker_config": {"vision_config": {"depth": 2}}})
        self.assertIn("talker_config", sizing.tower_notes(omni))
        self.assertIn("Sem audio_config", sizing.tower_notes(omni))
        self.assertIn("estimado", sizing.tower_notes(
            sizing.HfConfig("config.json", {"model_type": "kimi_k3"})))
        with temporary_file({"model_type": "llava", "text_config": LLAMA_8B}) as path:
            said = self.ok("--hf-config", path, "--server", "dgx200", "--concurrency", "10")
        self.assertIn("! assumed: Sem vision_config: a torre é a padrão da classe.", said)

    def test_como_no_catalogo(self):
        """Nove arquiteturas dão o KV exato, os parâmetros e os bytes a menos de 1% do catálogo"""
        for name, config in CONFIGS.items():
            with self.subTest(name):
                expected, entry = in_catalogue("models", name), self.entry(config)
                model = entry_of("models", entry)
                for context in (1, 100, 8192, 131072):
                    self.assertEqual(*(session_bytes(item, context, "bf16")
                                       for item in (model, expected)))
                for field, margin in (("params_total", 0.005), ("params_active", 0.01),
                                      ("params_experts", 0.001), ("checkpoint_bytes", 0.005),
                                      ("weights_dense_bytes", 0.01),
                                      ("weights_expert_bytes", 0.001)):
                    wanted = getattr(expected, field) or 0
                    self.assertLessEqual(abs((entry.get(field) or 0) - wanted), margin * wanted)
                for field in ("num_layers", "vocab_size", "native_precision", "num_experts",
                              "experts_per_token", "max_position_embeddings", "hidden_size",
                              "num_attention_heads", "intermediate_size", "moe_layers",
                              "moe_intermediate_size", "qk_nope_head_dim", "v_head_dim",
                              "index_n_heads", "index_topk", "multimodal",
                              "bidirectional_images", "replicates_kv_heads"):
                    self.assertEqual(getattr(model, field), getattr(expected, field), field)
                self.assertEqual(sorted((group.kind, group.layers) for group in model.kv_groups),
                                 sorted((group.kind, group.layers) for group in expected.kv_groups))

    def test_estados_lineares(self):
        """Mamba2 ou gated delta net, e o estado no tipo em que o motor o guarda"""
        def state(name, **changes):
            config = {key: value for key, value in dict(CONFIGS[name], **changes).items()
                      if value is not ABSENT}
            groups = entry_from_config(config)["groups"]
            return next((group["kind"], group["state_bytes"]) for group in groups
                        if "state_bytes" in group)

        nemotron, convolution = "nvidia-nemotron-3-nano-30b-a3b-bf16", 3 * 2 * (4096 + 2 * 8 * 128)
        recurrence = 64 * 64 * 128  # números; sem o tipo no config, o motor usa fp32
        for dtype, size in ((ABSENT, 4), ("float32", 4), ("bfloat16", 2), ("auto", 2)):
            self.assertEqual(state(nemotron, mamba_ssm_cache_dtype=dtype),
                             ("mamba2", size * recurrence + convolution), dtype)
        convolution = 3 * 2 * (4096 + 2 * 16 * 128)
        for dtype, size in ((ABSENT, 2), ("float32", 4)):
            self.assertEqual(state("qwen3-next", mamba_ssm_dtype=dtype),
                             ("linear", size * 32 * 128 * 128 + convolution), dtype)
        granite = dict(LLAMA_8B, model_type="granitemoehybrid",
                       layer_types=["mamba"] * 31 + ["attention"], mamba_n_heads=128,
                       mamba_d_head=64, mamba_d_state=128, mamba_n_groups=1, mamba_d_conv=4)
        group = entry_from_config(granite)["groups"][0]
        self.assertEqual(group, {
            "kind": "mamba2", "layers": 31, "heads": 128,
            "state_bytes": 2 * 128 * 64 * 128 + 3 * 2 * (8192 + 2 * 128)})

    def test_imagens_inteiras(self):
        """A Gemma 3 com torre de visão, e a 4 que o diz, veem cada imagem nos dois sentidos"""
        gemma3, gemma4 = CONFIGS["gemma-3-27b"], CONFIGS["gemma-4-31b"]
        for value, expected in (("vision", True), (None, False), ("all", False)):
            text = dict(gemma4["text_config"], use_bidirectional_attention=value)
            entry = entry_from_config(dict(gemma4, text_config=text))
            self.assertEqual(entry.get("bidirectional_images", False), expected)
        for value in (ABSENT, False):
            text = dict(gemma3["text_config"], use_bidirectional_attention=value)
            text = {key: item for key, item in text.items() if item is not ABSENT}
            entry = entry_from_config(dict(gemma3, text_config=text))
            self.assertTrue(entry["bidirectional_images"])
            self.assertNotIn("bidirectional_images", entry_from_config(text))

    def test_regras_de_camadas(self):
        """Janela só nas camadas de cima (Qwen2), KV partilhado (Gemma 4 E2B) e YaRN"""
        def session(entry, context):
            return session_bytes(entry_of("models", entry), context, "fp8")

        upper = dict(LLAMA_8B, model_type="qwen2", use_sliding_window=True, max_window_layers=20,
                     sliding_window=1024)
        self.assertEqual(session(self.entry(upper), 8192), 2048 * (20 * 8192 + 12 * 1024))
        off = dict(upper, use_sliding_window=False)
        self.assertEqual(session(self.entry(off), 8192), 2048 * 32 * 8192)
        text = {"model_type": "gemma4_text", "global_head_dim": 512, "head_dim": 256,
                "hidden_size": 1536, "hidden_size_per_layer_input": 256, "intermediate_size": 6144,
                "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 7,
                "num_attention_heads": 8, "num_key_value_heads": 1, "num_kv_shared_layers": 20,
                "num_hidden_layers": 35, "sliding_window": 512, "use_double_wide_mlp": True,
                "vocab_size": 262144, "vocab_size_per_layer_input": 262144,
                "max_position_embeddings": 131072}
        entry = self.entry({"model_type": "gemma4", "text_config": text})
        self.assertEqual(session(entry, 8192), 3 * 1024 * 8192 + 12 * 512 * 512)
        # 4 797 113 600 publicados, com uma torre de visão de 168 544 256
        self.assertAlmostEqual(entry["params_total"] / (4797113600 - 168544256), 1, delta=0.003)
        for original, factor, limit in ((32768, 4.0, 131072), (4096, 2.0, 32768)):
            rope = {"rope_type": "yarn", "factor": factor,
                    "original_max_position_embeddings": original}
            config = dict(LLAMA_8B, max_position_embeddings=32768, rope_scaling=rope)
            self.assertEqual(self.entry(config)["max_position_embeddings"], limit)

    def test_dimensiona(self):
        """Dimensiona direto do config.json; o nome vem do arquivo; o resultado é o do catálogo"""
        question = {key: value for key, value in BASE.items() if key != "model"}
        with temporary_file(CONFIGS["opt-oss-120b"]) as path:
            sized = json.loads(self.ok("--hf-config", path, *flags(question), "--json"))
            text = self.ok("--hf-config", path, *flags(question))
        self.assertEqual(sized["results"], self.sized()["results"])
        self.assertEqual(sized["engine"]["sessions_per_node"],
                         self.sized()["engine"]["sessions_per_node"])
        self.assertRegex(text, "^COMPRE 2 × DGX B300 .*\ncatalogo, pesos mxfp4 .contados., KV fp8")

    def test_pesos(self):
        """--weights-gib e o índice ao lado valem mais que a conta; um índice absurdo é recusado"""
        entry = self.entry(LLAMA_8B, "--weights-gib", "8")
        self.assertEqual(entry["checkpoint_bytes"], 8 * 2**30)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "config.json")
            index = os.path.join(folder, "model.safetensors.index.json")
            for content, file in ((LLAMA_8B, path),
                                  ({"metadata": {"total_size": 16060522496}}, index)):
                with open(file, "w") as stream:
                    json.dump(content, stream)
            entry = json.loads(self.ok("--hf-config", path, "--print-model"))
            self.assertEqual(entry["checkpoint_bytes"], 16060522496)
            self.assertEqual(entry["name"], os.path.basename(folder).lower())
            far = [{"metadata": {"total_size": size}} for size in (5, 16060522496 * 115 // 100)]
            for content in (*far, {"metadata": {"total_size": -1}}, {"metadata": {}}, {}, [], 5,
                            {"metadata": {"total_size": "x"}}):
                with open(index, "w") as stream:
                    json.dump(content, stream)
                self.refused(["--hf-config", path, "--print-model"],
                             "difere em mais de 10%" if content in far else "index.json")

    def shown(self, *args):
        return json.loads(self.ok("--hf-config", *args, "--print-model"))

    def test_entrada_valida(self):
        """O que --print-model mostra, --validate aceita; um tamanho absurdo se recusa"""
        with temporary_file(LLAMA_8B) as path:
            for weights in ("1e9", "0.000000001"):
                entry = self.shown(path, "--weights-gib", weights)
                _, problems = loaded("models", json.dumps({"models": [entry]}).encode())
                self.assertEqual(problems, [])
            for weights in ("1e30", "1.1e9"):
                self.refused(["--hf-config", path, "--weights-gib", weights, "--print-model"],
                             "--weights-gib '%s': espera-se" % weights, "até 1e9")

    def test_pasta(self):
        """Uma pasta, ou um arquivo dela: os bytes e os parâmetros são os dos cabeçalhos"""
        tensors = llama_tensors()
        shards, index = sharded(tensors, 3)
        others = {"consolidated.safetensors": tensors, "adapter_model.safetensors": tensors}
        with checkpoint_folder(LLAMA_8B, {**shards, **others}, index) as folder:
            os.mkdir(os.path.join(folder, "original"))
            write_shard(os.path.join(folder, "original", "model.safetensors"), *header_of(tensors))
            entry = self.shown(folder)
            for name in ("config.json", "model.safetensors.index.json", *shards):
                self.assertEqual(self.shown(os.path.join(folder, name)), entry)
            flag = self.shown(folder, "--weights-gib=8")
            text = self.ok("--hf-config", folder, "--server=h200", "--concurrency=9")
            sized = json.loads(self.ok("--hf-config", folder, "--server=h200", "--concurrency=9",
                                       "--json"))
            plain = self.ok("--hf-config", folder, "--server=h200", "--concurrency=9", "--explain")
            os.rename(os.path.join(folder, "model.safetensors.index.json"), folder + "/x.json")
            self.assertEqual(self.shown(folder), entry)  # os nomes dizem quantos são
        both = sharded(tensors, 2)[0].values()
        from_zero = dict(zip(map("model-{:05d}-of-00002.safetensors".format, range(2)), both))
        with checkpoint_folder(LLAMA_8B, from_zero) as other:  # como a OpenAI os numera
            self.assertEqual(self.shown(other)["checkpoint_bytes"], entry["checkpoint_bytes"])
        total = 2 * 8030261248  # os parâmetros publicados
        self.assertEqual(entry, {
            **entry, "name": os.path.basename(folder).lower(), "params_total": total // 2,
            "params_active": total // 2, "params_embedding": 2 * 128256 * 4096,
            "checkpoint_bytes": total, "weights_dense_bytes": total,
            "weights_source": "safetensors"})
        self.assertIn("BF16 14.958 GiB", entry["notes"][1])
        self.assertEqual((flag["weights_source"], flag["checkpoint_bytes"]), ("flag", 2**33))
        self.assertIn("pesos bf16 (dos safetensors), ", text)
        self.assertEqual(sized["parameters"]["weights_source"], "safetensors")
        self.assertEqual(sized["storage_plan"]["checkpoint_bytes"], total)
        self.assertIn("checkpoint de 16.1 GB (fontes", plain)
        with checkpoint_folder(LLAMA_8B, {"pytorch_model.bin": tensors}) as folder:
            entry = self.shown(folder)  # só o índice e os safetensors se leem
            explained = self.ok("--hf-config", folder, "--server=h200", "--concurrency=9",
                                "--explain")
        self.assertEqual(entry["weights_source"], "counted")
        self.assertIn("pesos bf16 só contados.", explained)

    def test_papeis(self):
        """O papel de um tensor é o do nome, como cada família o escreve"""
        rows = {
            "experts": "model.layers.3.mlp.experts.17.gate_proj.weight_packed "
                       "model.layers.0.block_sparse_moe.experts.0.w1.weight "
                       "backbone.layers.1.mixer.experts.5.up_proj.weight_scale "
                       "model.layers.9.mlp.experts.gate_up_proj_blocks "
                       "model.layers.9.mlp.experts.down_proj_scales "
                       "language_model.model.layers.1.feed_forward.experts.gate_up_proj "
                       "layers.4.ffn.experts.250.w2.scale layers.0.experts.3.w1.weight "
                       "model.layers.4.moe.up_proj.weight model.layers.2.experts.down_proj "
                       "model.layers.1.block_sparse_moe.input_linear.weight "
                       "model.layers.1.mlp.text_moe.experts.gate_up_proj "
                       "model.layers.1.mlp.vision_moe.experts.gate_up_proj",
            "dense": "model.layers.3.mlp.shared_experts.gate_proj.weight "
                     "model.layers.3.mlp.shared_expert.up_proj.weight "
                     "model.layers.3.share_expert.up_proj.weight model.layers.3.mlp.gate.weight "
                     "backbone.layers.1.mixer.in_proj.weight backbone.norm_f.weight "
                     "backbone.layers.1.mixer.fc1_latent_proj.weight model.norm.weight "
                     "model.language_model.layers.0.linear_attn.in_proj_qkv.weight "
                     "model.layers.5.self_attn.indexer.wk.weight layers.2.attn.wq_a.weight "
                     "model.layers.0.moe.gate.weight model.language_model.layers.9.layer_scalar",
            "embedding": "model.embed_tokens.weight backbone.embeddings.weight embed.weight "
                         "language_model.model.embed_tokens.weight tok_embeddings.weight "
                         "model.language_model.embed_tokens_per_layer.weight "
                         "transformer.wte.weight model.tok_embeddings.weight",
            "head": "lm_head.weight language_model.lm_head.weight output.weight head.weight "
                    "language_model.output.weight",
            "vision": "model.visual.blocks.0.attn.qkv.weight visual.merger.mlp.0.weight "
                      "vision_tower.encoder.layers.40.mlp.fc1.weight "
                      "multi_modal_projector.linear_1.weight mm_projector.proj.0.weight "
                      "mlp1.1.weight vision_model.embeddings.class_embedding "
                      "model.embed_vision.embedding_projection.weight vit_large_projector.weight "
                      "model.vision_tower.patch_embedder.input_proj.weight",
            "audio": "thinker.audio_tower.layers.31.fc1.weight model.audio_tower.conv1.weight "
                     "model.embed_audio.embedding_projection.weight encoder.layers.0.ff1.weight "
                     "sound_encoder.layers.0.weight "
                     "model.embed_tokens_extend.audio_embed.encoder.encoders.0.weight",
            "unused": "talker.model.layers.0.mlp.experts.0.up_proj.weight code2wav.conv.weight",
            "mtp_experts": "model.layers.40.mlp.experts.0.up_proj.weight "
                           "mtp.layers.0.mlp.experts.3.down_proj.weight "
                           "mtp.0.ffn.experts.9.w1.weight",
            "mtp_dense": "model.layers.40.eh_proj.weight mtp.fc.weight "
                         "model.mtp_layers.0.input_proj.weight mtp.0.attn.wkv.weight "
                         "model.layers.41.shared_head.norm.weight model.mtp.eh_proj.weight",
            "mtp_embedding": "model.layers.40.embed_tokens.weight mtp.0.emb.tok_emb.weight",
            "mtp_head": "model.layers.40.shared_head.head.weight mtp.0.head.weight"}
        for role, names in rows.items():
            for name in names.split():
                self.assertEqual(tensor_role(name, 40), role, name)

    def test_papeis_dos_bytes(self):
        """Especialistas, densos, MTP e as cópias dela, cada um com os seus bytes e escalas"""
        tensors = deepseek_tensors()
        shards, index = sharded(tensors, 2)
        with checkpoint_folder(DEEPSEEK_TINY, shards, index) as folder:
            entry = self.shown(folder)
        sizes = collections.Counter()
        for name, tensor in tensors.items():
            drafts = name.startswith("model.layers.3.")
            part = "mtp_experts" if ".experts." in name and drafts else "dense"
            if drafts and re.search("embed_tokens|shared_head.head", name):
                part = "copies"
            elif part == "dense":
                part = ("mtp_dense" if drafts else
                        "experts" if ".experts." in name else "dense")
            sizes[part] += header_of({name: tensor})[1]
        self.assertEqual(entry["checkpoint_bytes"], sum(sizes.values()))
        self.assertEqual((entry["weights_dense_bytes"], entry["weights_expert_bytes"]),
                         (sizes["dense"], sizes["experts"]))
        self.assertEqual((entry["mtp"]["dense_bytes"], entry["mtp"]["expert_bytes"]),
                         (sizes["mtp_dense"], sizes["mtp_experts"]))
        self.assertEqual(entry["params_experts"], 2 * 8 * 3 * 256 * 128)
        self.assertEqual(sizes["copies"], 2 * 2 * 1024 * 256)
        # sem os tensores delas, não há camadas MTP, diga o config o que disser
        main = {name: tensor for name, tensor in tensors.items() if "layers.3." not in name}
        with checkpoint_folder(DEEPSEEK_TINY, {"model.safetensors": main}) as folder:
            short = self.shown(folder)
        self.assertNotIn("mtp", short)
        self.assertEqual(short["weights_dense_bytes"], entry["weights_dense_bytes"])

    def test_torres_e_cabeca_amarrada(self):
        """As torres contam à parte; a cópia da cabeça amarrada só conta no que se lê do disco"""
        text = llama_tensors(prefix="language_model.model.")
        tower = {"vision_tower.blocks.0.mlp.fc1.weight": ("F32", (5000, 1000)),
                 "audio_tower.layers.0.fc1.weight": ("BF16", (3000, 1000)),
                 "talker.layers.0.weight": ("BF16", (7000, 1000))}
        config = {"text_config": LLAMA_8B, "vision_config": {
            "hidden_size": 1000, "intermediate_size": 5000, "num_hidden_layers": 1}}
        with checkpoint_folder(config, {"model.safetensors": {**text, **tower}}) as folder:
            entry = self.shown(folder)
        self.assertEqual(entry["params_total"], 8030261248 + 8000000)
        self.assertEqual(entry["params_embedding"], 2 * 128256 * 4096 + 8000000)
        # o motor põe em 16 bits o que está em 32, e não carrega a voz
        self.assertEqual(entry["weights_dense_bytes"], 2 * entry["params_total"])
        self.assertEqual(entry["checkpoint_bytes"], 2 * 8030261248 + 20000000 + 6000000 + 14000000)
        self.assertTrue(entry["multimodal"])
        with checkpoint_folder(config, {"model.safetensors": text}) as folder:
            self.refused(["--hf-config", folder, "--print-model"], "config.json, vision_config",
                         "torre de visão")
        tied = dict(LLAMA_8B, tie_word_embeddings=True)
        with checkpoint_folder(tied, {"model.safetensors": llama_tensors()}) as folder:
            entry = self.shown(folder)
        self.assertEqual(entry["params_total"], 8030261248 - 128256 * 4096)
        self.assertEqual(entry["weights_dense_bytes"], 2 * entry["params_total"])
        self.assertEqual(entry["checkpoint_bytes"], 2 * 8030261248)

    def test_empacotados(self):
        """Os parâmetros do que está empacotado; escalas, zeros e índices não são parâmetros"""
        packed = {"quant_method": "compressed-tensors", "config_groups": {
            "group_0": {"weights": {"num_bits": 4, "group_size": 128}},
            "group_1": {"weights": {"num_bits": 8, "group_size": 128}}}}
        rows = (
            ("gptq", {"qweight": ("I32", (512, 1024)), "scales": ("F16", (32, 1024)),
                      "qzeros": ("I32", (32, 128)), "g_idx": ("I32", (4096,))}, {}),
            ("gptq de 8 bits", {"qweight": ("I32", (1024, 1024)), "scales": ("F16", (32, 1024)),
                                "qzeros": ("I32", (32, 256))}, {"bits": 4, "group_size": 128}),
            ("sem zeros", {"qweight": ("I32", (1024, 1024)), "scales": ("F16", (32, 1024))},
             {"bits": 8, "group_size": 128}),
            ("awq", {"qweight": ("I32", (4096, 128)), "scales": ("F16", (32, 1024)),
                     "qzeros": ("I32", (32, 128))}, {}),
            ("packed", {"weight_packed": ("I32", (1024, 512)), "weight_shape": ("I64", (2,)),
                        "weight_scale": ("BF16", (1024, 32))}, packed),
            ("packed de 8 bits", {"weight_packed": ("I32", (1024, 1024)),
                                  "weight_scale": ("BF16", (1024, 32))}, packed),
            ("nvfp4", {"weight": ("U8", (1024, 2048)), "weight_scale": ("F8_E4M3", (1024, 256)),
                       "weight_scale_2": ("F32", ()), "input_scale": ("F32", ())}, {}),
            ("nf4", {"weight": ("U8", (2097152, 1)), "weight.absmax": ("U8", (65536,)),
                     "weight.quant_state.bitsandbytes__nf4": ("U8", (90,))}, {}),
            ("fp4 em I8", {"weight": ("I8", (1024, 2048)), "scale": ("F8_E8M0", (1024, 128))}, {}),
            ("int8", {"weight": ("I8", (1024, 4096)), "weight_scale": ("BF16", (1024, 1))}, {}),
            ("fp8", {"weight": ("F8_E4M3", (1024, 4096)), "weight_scale_inv": ("F32", (8, 32))},
             {}))
        for name, leaves, quantization in rows:
            module = {"model.layers.0.mlp.up_proj." + leaf: info for leaf, info in leaves.items()}
            self.assertEqual(params_of_tensors(module, quantization), 1024 * 4096, name)

    def test_pastas_erradas(self):
        """Outro modelo, outra quantização, arquivos que faltam ou repetidos: o campo e a saída"""
        tensors, print_model = llama_tensors(), "--print-model"
        shards, index = sharded(tensors, 3)
        second, third = list(shards)[1:]

        def refused(*words, config=LLAMA_8B, shards=shards, index=index):
            with checkpoint_folder(config, shards, index) as folder:
                self.refused(["--hf-config", folder, print_model], *words)

        some = {name: part for name, part in shards.items() if name != second}
        refused("falta na pasta " + second, "--weights-gib", shards=some)
        refused("falta na pasta " + second, shards=some, index=None)
        refused("falta na pasta " + third, shards={n: shards[n] for n in list(shards)[:2]},
                index=None)
        refused("model.safetensors, model.embed_tokens.weight: o tensor também está em model-a.s",
                index=None, shards={"model.safetensors": tensors, "model-a.safetensors": tensors})
        where = dict(index["weight_map"], extra=second)
        refused("index.json, weight_map.extra", second, "não traz o tensor",
                index=dict(index, weight_map=where))
        for bad in ("../x.safetensors", "x.bin", 5, None, ["a"], {}):
            refused("index.json, weight_map.extra = ", index={
                "weight_map": dict(index["weight_map"], extra=bad)})
        for bad in ({}, [], 5, {"weight_map": 5}, {"weight_map": {}}, {"metadata": {}}):
            refused("index.json", index=bad)
        refused("index.json, metadata.total_size", shards={}, index={"weight_map": {}})
        refused("8030261248", "parâmetros no resto do texto", "--weights-gib",
                config=dict(LLAMA_8B, num_hidden_layers=31))
        refused("0 parâmetros dos especialistas", "config.json",
                config=dict(LLAMA_8B, model_type="mixtral", num_local_experts=4,
                            num_experts_per_tok=2))
        eight = {name: ("F8_E4M3" if "proj" in name else dtype, shape)
                 for name, (dtype, shape) in tensors.items()}
        refused("8 bits por parâmetro", "bf16", "hf_quant_config.json",
                shards={"model.safetensors": eight}, index=None)
        refused("16 bits por parâmetro", "fp8", config=dict(
            LLAMA_8B, quantization_config={"quant_method": "fp8"}))
        with tempfile.TemporaryDirectory() as folder:
            self.refused(["--hf-config", folder, print_model], folder + ": a pasta não tem config")
            path = os.path.join(folder, "model.safetensors")
            self.refused(["--hf-config", path, print_model], "a pasta não tem config.json")
        with checkpoint_folder(LLAMA_8B, {}) as folder:
            path = os.path.join(folder, "model.safetensors")
            os.mkdir(path)
            self.refused(["--hf-config", folder, print_model], path, "espera-se um arquivo")
            os.rmdir(path)
            os.symlink("nada", path)
            self.refused(["--hf-config", folder, print_model], path, "o arquivo não existe")

    def test_pesos_nao_baixados(self):
        """Ponteiros do Git LFS não são pesos: vale o índice ou, sem ele, a conta"""
        shards, index = sharded(llama_tensors(), 2)
        index["metadata"]["total_size"] = 16060522497
        for given, source in ((index, "index"), (None, "counted")):
            with checkpoint_folder(LLAMA_8B, {}, given) as folder:
                for name in shards:
                    with open(os.path.join(folder, name), "wb") as file:
                        file.write(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
                entry = self.shown(folder)
                self.assertEqual(entry["weights_source"], source)
                self.assertEqual(entry["checkpoint_bytes"] == 16060522497, source == "index")

    def test_cabecalhos_errados(self):
        """Cada defeito de um cabeçalho é uma linha com o arquivo, o tensor e o campo"""
        good, size = header_of({"a": ("BF16", (4, 8)), "b": ("F32", (2,))})

        def changed(**fields):
            return {**good, "a": {**good["a"], **fields}}

        rows = [(changed(dtype=dtype), ("a.dtype",)) for dtype in ("BF17", None, 5, ["BF16"])]
        rows += [(changed(shape=shape), ("a.shape",)) for shape in (
            None, 5, [4, -8], [4, 8.0], [True, 32], ["4", 8], [1] * 17, [[4, 8]], {"a": 4})]
        rows += [(changed(data_offsets=offsets), ("a.data_offsets",)) for offsets in (
            None, [0], [0, 64, 64], [0, 63], [64, 0], [-64, 0], [0.0, 64], "ab", [64, 128])]
        rows += [({**good, "a": value}, (" a",)) for value in (5, None, [], "x", [1, 2, 3])]
        rows += [
            ({"b": good["b"]}, ("somam 8 bytes", "72")),
            ({"a": good["a"]}, ("somam 64 bytes", "72")),
            (b'{"a": 1', ("JSON inválido",)), (b"\xff{}", ("UTF-8",)), (b"[]", ("objeto JSON",)),
            (b"5", ("objeto JSON",)), (b"[" * 10**5, ("profundo",)), (b"", ("JSON inválido",)),
            (b'{"a": ' + b"9" * 10**5 + b"}", ("19 dígitos",)),
            (b'{"a": [' + b"[]," * 10**6 + b"[]]}", ("listas demais",)),
            (json.dumps(good)[:-1].encode() + b',"a":' + json.dumps(good["a"]).encode() + b"}",
             ("o tensor também está",))]
        with checkpoint_folder(LLAMA_8B, {}) as folder:
            path = os.path.join(folder, "model.safetensors")
            for header, words in rows:
                write_shard(path, header, size)
                self.refused(["--hf-config", folder, "--print-model"], path, *words)
            for length, words in ((10**9, "passa do fim do arquivo"), (2**64 - 1, "passa do fim")):
                write_shard(path, good, size, length)
                self.refused(["--hf-config", folder, "--print-model"], path, words)
            write_shard(path, good, 2**28, 2**27)
            self.refused(["--hf-config", folder, "--print-model"], path, "passa de 16 MiB")
            for content in (b"", b"1234567"):
                with open(path, "wb") as file:
                    file.write(content)
                self.refused(["--hf-config", folder, "--print-model"], path, "passa do fim")
            name = "x" * 10**5
            write_shard(path, {name: {"dtype": "BF17"}}, 0)
            line = self.refused(["--hf-config", folder, "--print-model"], path, "dtype = 'BF17'")
            self.assertLess(len(line), 350)

    def test_quantizacao(self):
        """int4 só nos especialistas (o resto está em `ignore`) e NVFP4 num modelo denso"""
        weights = {"num_bits": 4, "type": "int", "group_size": 32}
        config = dict(CONFIGS["qwen3-235b"], quantization_config={
            "quant_method": "compressed-tensors",
            "config_groups": {"group_0": {"weights": weights}},
            "ignore": ["lm_head", "re:.*self_attn.*"]})
        entry, plain = self.entry(config), self.entry(CONFIGS["qwen3-235b"])
        self.assertEqual(entry["native_precision"], "int4")
        self.assertEqual(entry["weights_expert_bytes"], entry["params_experts"] * 9 // 16)
        self.assertEqual(entry["weights_dense_bytes"], plain["weights_dense_bytes"])
        config = dict(LLAMA_8B, quantization_config={"quant_method": "modelopt",
                                                     "quant_algo": "NVFP4"})
        entry, plain = self.entry(config), self.entry(LLAMA_8B)
        linear = 32 * (4096 * (4096 * 2 + 2 * 1024) + 3 * 4096 * 14336)
        self.assertEqual(entry["native_precision"], "nvfp4")
        self.assertEqual(plain["weights_dense_bytes"] - entry["weights_dense_bytes"],
                         linear * 2 - linear * 9 // 16)
        # sem lm_head em `ignore`, a cabeça também é Linear; o embedding não
        tensors = {"quant_method": "compressed-tensors", "config_groups": {"group_0": {
            "targets": ["Linear"], "weights": {"num_bits": 8, "type": "float"}}}}
        whole, headless = (self.entry(dict(LLAMA_8B, quantization_config=dict(
            tensors, ignore=ignore)))["checkpoint_bytes"] for ignore in ([], ["lm_head"]))
        self.assertEqual(headless - whole, 128256 * 4096)
        single = self.entry(dict(LLAMA_8B, torch_dtype="float32"))  # as normas e as pontas também
        self.assertEqual(single["checkpoint_bytes"], 2 * plain["checkpoint_bytes"])
        # o que a biblioteca monta para o Qwen3 30B-A3B com os especialistas em 4 bits
        smaller = dict(CONFIGS["qwen3-235b"], hidden_size=2048, num_attention_heads=32,
                       num_hidden_layers=48, moe_intermediate_size=768)
        experts = {"targets": ["re:.*mlp.experts.*"],
                   "weights": {"num_bits": 4, "type": "float", "group_size": 16}}
        for declared, expected in (
                ({"quant_method": "compressed-tensors", "ignore": [], "format":
                  "nvfp4-pack-quantized", "config_groups": {"group_0": experts}}, 19389640704),
                ({"quant_method": "fp8", "weight_block_size": [128, 128],
                  "expert_dtype": "fp4"}, 17577922560)):
            found = self.entry(dict(smaller, quantization_config=declared))["checkpoint_bytes"]
            self.assertAlmostEqual(found / expected, 1, delta=0.0001)

    def formats(self, declared, *modules, beside=None, **config):
        """(precisão, bits) de cada módulo, com a declaração de config.json e a do lado."""
        data = dict({"num_hidden_layers": 4, "torch_dtype": "bfloat16"}, **config)
        if declared is not None:
            data["quantization_config"] = declared
        quantization = sizing.quantization_of(
            sizing.HfConfig("config.json", data),
            None if beside is None else sizing.HfConfig("hf_quant_config.json", beside))
        found = [quantization.format_of(module) for module in modules]
        return [(form.precision, form.bits) for form in found]

    def test_bits_por_peso(self):
        """Os bits de cada formato, com as escalas e os zeros que os arquivos guardam"""
        def packed(**weights):
            extra = weights.pop("extra", {})
            return {"quant_method": "compressed-tensors", "config_groups": {
                "group_0": dict({"targets": ["Linear"], "weights": weights}, **extra)}}

        def modelopt(algorithm, **fields):
            return dict({"quant_method": "modelopt", "quant_algo": algorithm}, **fields)
        integer = {"num_bits": 4, "type": "int", "group_size": 128}
        one = Fraction
        rows = (
            ({"quant_method": "fp8", "weight_block_size": None}, "fp8", 8),
            ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8", 8 + one(32, 16384)),
            ({"quant_method": "fp8", "weight_block_size": [1, 32], "scale_fmt": "ue8m0"},
             "fp8", one(33, 4)),
            ({"quant_method": "fbgemm_fp8"}, "fp8", 8),
            ({"quant_method": "mxfp8"}, "fp8", one(33, 4)),
            (modelopt("FP8"), "fp8", 8),
            (modelopt("fp8_pb_wo"), "fp8", 8 + one(32, 16384)),
            (modelopt("MXFP8"), "fp8", one(33, 4)),
            (modelopt("NVFP4", group_size=16), "nvfp4", one(9, 2)),
            (modelopt("W4A16_NVFP4"), "nvfp4", one(9, 2)),
            (modelopt("W4A8_MXFP4_FP8", group_size=32), "mxfp4", one(17, 4)),
            (modelopt("W4A16_AWQ"), "int4", 4 + one(16, 128)),
            (modelopt("W4A8_AWQ", group_size=64), "int4", 4 + one(16, 64)),
            ({"quant_algo": "FP8", "config_groups": {}}, "fp8", 8),
            (packed(**integer), "int4", 4 + one(16, 128)),
            (packed(symmetric=False, **integer), "int4", 4 + one(20, 128)),
            (packed(extra={"format": "int-quantized"}, **integer), "int8", one(65, 8)),
            (packed(extra={"input_activations": {"num_bits": 8, "type": "float"}}, **integer),
             "int8", one(65, 8)),
            (packed(extra={"input_activations": {"num_bits": 8, "type": "int"}}, **integer),
             "int4", 4 + one(16, 128)),
            (packed(num_bits=8, type="int", strategy="channel"), "int8", 8),
            (packed(num_bits=3, type="int", group_size=-1), "int4", 3),
            (packed(num_bits=8, type="float", strategy="channel"), "fp8", 8),
            (packed(num_bits=8, type="float", strategy="block", block_structure=[128, 128]),
             "fp8", 8 + one(16, 16384)),
            (packed(num_bits=8, type="float", group_size=32, scale_dtype="torch.uint8"),
             "fp8", one(33, 4)),
            (packed(num_bits=4, type="float", group_size=16), "nvfp4", one(9, 2)),
            (packed(num_bits=4, type="float", group_size=32), "mxfp4", one(17, 4)),
            (packed(extra={"format": "dense"}, **integer), "bf16", 16),
            ({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True}, "int4",
             4 + one(20, 128)),
            ({"quant_method": "gptq", "bits": 8, "group_size": -1, "dynamic": None}, "int8", 8),
            ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, "int4", 4 + one(20, 64)),
            ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "int4", one(9, 2)),
            ({"quant_method": "bitsandbytes", "load_in_4bit": True,
              "bnb_4bit_use_double_quant": True}, "int4", 4 + one(8, 64) + one(32, 64 * 256)),
            ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8", 8),
            ({"quant_method": "auto-round", "bits": 4, "group_size": 32, "data_type": "mx_fp"},
             "mxfp4", one(17, 4)),
            ({"quant_method": "auto-round", "bits": 2, "group_size": 64}, "int4", 2 + one(18, 64)))
        for declared, precision, bits in rows:
            with self.subTest(declared):
                linear, head, embedding, router = self.formats(
                    declared, "layers.1.self_attn.q_proj", "lm_head", "embed_tokens",
                    "layers.1.mlp.gate")
                self.assertEqual(linear, (precision, bits))
                whole = declared.get("quant_method") == "compressed-tensors"  # a cabeça é Linear
                self.assertEqual(head, (precision, bits) if whole else ("bf16", 16))
                self.assertEqual((embedding, router), (("bf16", 16), ("bf16", 16)))

    def test_modulos_citados(self):
        """Listas de cada ferramenta: prefixos, nomes da família, fundidos, padrões e camadas MTP"""
        modules = ("layers.1.self_attn.q_proj", "layers.1.mamba.in_proj", "layers.1.mlp.up_proj",
                   "layers.1.mlp.shared_experts.up_proj", "layers.1.mlp.experts.0.up_proj",
                   "layers.12.self_attn.q_proj", "layers.20.mlp.up_proj", "lm_head",
                   "vision_tower.layers.1.self_attn.q_proj")
        rows = (  # entrada da lista → os módulos que ela deixa em 16 bits
            ([], ()), (["gate", "e_score_correction_bias", "lm_head"], ()),
            (["self_attn"], (0, 5)), (["model.layers.1*"], (0, 1, 2, 3, 4)),
            (["model.layers.1.*"], (0, 1, 2, 3, 4)), (["model.layers.1."], (0, 1, 2, 3, 4)),
            (["language_model.model.layers.1.mlp.shared_expert*"], (3,)),
            (["backbone.layers.1.mixer.in_proj"], (1,)),
            (["model.layers.1.block_sparse_moe.experts"], (4,)),
            (["model.layers.1.feed_forward.experts.gate_up_proj"], (4,)),
            (["layers.1.ffn.experts.%d.w3" % i for i in range(8)], (4,)),
            (["model.layers.1.self_attn.qkv_proj.weight"], (0,)),
            (["model.layers.1.mlp.gate_up_proj"], (2,)), (["*.mlp.shared_expert.*"], (3,)),
            (["model.layers.*.self_attn"], (0, 5)), (["*self_attn*"], (0, 5)),
            (["*_proj"], (0, 1, 2, 3, 4, 5, 6)), (["*mlp.up*"], ()),
            (["mtp*"], (6,)), (["mtp.layers.0*"], (6,)),
            (["model.layers.20*"], (6,)), ([r"re:.*\.mtp\.layers\.0\..*", "mtp.norm"], (6,)),
            ([r"re:mtp\.layers\.\d+\.mlp"], (6,)),
            ([r"re:.*self_attn.*", r"re:.*mlp\.(gate|up|gate_up|down)_proj.*"], (0, 2, 5, 6)),
            ([r"re:model\.layers\.\d+\.block_sparse_moe\.experts\.\d+\.w[1-3]$"], (4,)),
            ([r"re:.*experts\.\d+\.(gate|up|down)_proj$"], (4,)),
            (["vision_tower.layers.1.self_attn.q_proj", "model.visual*", "audio_tower.*"], ()))
        for kept, plain in rows:
            declared = {"quant_method": "fp8", "ignored_layers": kept}
            with self.subTest(kept):
                found = self.formats(declared, *modules, num_hidden_layers=20, num_experts=8)
                self.assertEqual([i for i, form in enumerate(found) if form[1] == 16],
                                 sorted({*plain, 7, 8}))
        # na Gemma 4 os especialistas não estão no mlp, que é outra FFN da camada
        dense, expert = self.formats(
            {"quant_algo": "NVFP4", "ignore": ["model.language_model.layers.1.mlp*"]},
            modules[2], modules[4], model_type="gemma4_text")
        self.assertEqual((dense[0], expert[0]), ("bf16", "nvfp4"))
        # e na Kimi a atenção linear se chama self_attn; no Qwen, não
        for model_type, precision in (("kimi_linear", "bf16"), ("qwen3_next", "fp8")):
            (found,) = self.formats({"quant_method": "fp8", "ignore": ["re:.*self_attn.*"]},
                                    "layers.1.linear_attn.q_proj", model_type=model_type)
            self.assertEqual(found[0], precision)

    def test_formatos_por_modulo(self):
        """Grupos, algoritmos e exceções com formato próprio, e o dos especialistas à parte"""
        modules = ("layers.1.self_attn.q_proj", "layers.1.mlp.up_proj",
                   "layers.1.mlp.experts.0.up_proj", "layers.4.mlp.experts.0.up_proj", "lm_head",
                   "embed_tokens")
        fp8, nvfp4, mxfp4, plain = ("fp8", 8), ("nvfp4", Fraction(9, 2)), (
            "mxfp4", Fraction(17, 4)), ("bf16", 16)
        int4, int8 = ("int4", 4 + Fraction(20, 128)), ("int8", 8 + Fraction(24, 128))
        groups = {"group_0": {"targets": ["Linear"], "format": "float-quantized", "weights": {
            "num_bits": 8, "type": "float", "strategy": "channel"}},
                  "group_1": {"targets": [r"re:.*mlp\.experts.*"], "weights": {
                      "num_bits": 4, "type": "float", "group_size": 16}}}
        layers = {"model.layers.1.self_attn.q_proj": {"quant_algo": "FP8"},
                  "layers.1.ffn.experts": {"quant_algo": "NVFP4", "group_size": 16},
                  "lm_head": {"quant_algo": "FP8"}, "backbone.embeddings": {"quant_algo": "FP8"}}
        mixed = {"quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
        gptq = {"quant_method": "gptq", "bits": 4, "group_size": 128}
        rows = (
            ({"quant_method": "compressed-tensors", "format": "mixed-precision",
              "ignore": ["lm_head"], "config_groups": groups}, {},
             (fp8, fp8, nvfp4, nvfp4, plain, plain)),
            ({"quant_method": "mxfp4"}, {}, (plain, plain, mxfp4, mxfp4, plain, plain)),
            (None, {"beside": {"quantization": mixed}}, (fp8, plain, nvfp4, plain, fp8, fp8)),
            (None, {"beside": dict(mixed, quantized_layers={"quantized_layers": layers})},
             (fp8, plain, nvfp4, plain, fp8, fp8)),
            # o resto fica no fp8 do arquivo de origem, e `ignore` só fala dos módulos citados
            (dict(mixed, quant_method="fp8", ignore=["*.attn.*", "mtp.*"], quantized_layers={
                "layers.1.ffn.experts": {"quant_algo": "NVFP4"}}), {"expert_dtype": "fp4"},
             (fp8, fp8, nvfp4, mxfp4, plain, plain)),
            (None, {"expert_dtype": "fp8"}, (plain, plain, fp8, fp8, plain, plain)),
            ({"quant_method": "fp8", "quant_algo": None}, {"expert_dtype": "fp4"},
             (fp8, fp8, mxfp4, mxfp4, plain, plain)),
            ({"quant_method": "fp8", "expert_dtype": "fp4", "modules_to_convert": [
                "model.embed_tokens"]}, {}, (fp8, fp8, mxfp4, mxfp4, plain, fp8)),
            ({"quant_method": "fp8", "targets": ["experts"]}, {},
             (plain, plain, fp8, fp8, plain, plain)),
            ({"quant_method": "fp8", "targets": ["mlp"]}, {},
             (plain, fp8, fp8, fp8, plain, plain)),
            (dict(gptq, dynamic={r"-:.*self_attn.*": {}, r".*mlp\.up.*": {"bits": 8},
                                 r"+:.*mlp.*": {"bits": 4}}, lm_head=True), {},
             (plain, int8, int4, int4, int4, plain)),
            (dict(gptq, modules_in_block_to_quantize=[["self_attn.q_proj"]]), {},
             (int4, plain, plain, plain, plain, plain)),
            (dict(gptq, quant_method="auto-round", extra_config={
                "self_attn": {"bits": 8}, "model.layers.1.self_attn.q_proj": {"bits": 16},
                "lm_head": {"bits": 8}, r"mlp\.up_proj$": {"bits": 8}}), {},
             (plain, int8, int4, int4, int8, plain)),
            ({"quant_method": "bitsandbytes", "load_in_8bit": True},
             {"transformers_version": "5.24.0"}, (("int8", 8), ("int8", 8), *[plain] * 4)),
            ({"quant_method": "modelopt", "quant_algo": None}, {}, (plain,) * 6),
            (None, {"beside": {"quantization": {"quant_algo": None,
                                                "kv_cache_quant_algo": "FP8"}}}, (plain,) * 6),
            ({"quant_method": "modelopt", "quant_algo": "FP8"},
             {"beside": {"quantization": {"quant_algo": "fp8"}}},
             (fp8, fp8, fp8, fp8, plain, plain)),
            ({"quant_algo": "MIXED_PRECISION", "config_groups": groups},
             {"beside": {"quantization": mixed}}, (fp8, plain, nvfp4, plain, fp8, fp8)))
        for declared, config, expected in rows:
            with self.subTest(declared, **config):
                self.assertEqual(self.formats(declared, *modules, **config), list(expected))

    def test_recusas_da_quantizacao(self):
        """O esquema desconhecido, o que não diz todos os pesos e duas declarações que discordam"""
        groups = {"group_0": {"weights": {"num_bits": 4, "group_size": 128}}}
        tensors = {"quant_method": "compressed-tensors", "config_groups": groups}
        rows = (
            ({"quant_method": "quark"}, "quant_method = 'quark': espera-se um destes: fp8, "),
            ({"quant_method": "hqq"}, "'hqq'"), ({"quant_method": "torchao"}, "'torchao'"),
            ({"foo": 1}, "quantization_config.quant_method"),
            ({"quant_method": "modelopt", "quant_algo": "NVFP4_SVD"}, "quant_algo = 'NVFP4_SVD'"),
            ({"quant_algo": "MIXED_PRECISION"}, "config_groups"),
            ({"quant_algo": "MIXED_PRECISION", "quantized_layers": {"a": 3}},
             "quantized_layers.a"),
            (dict(tensors, format="marlin-24"), "format = 'marlin-24'"),
            (dict(tensors, format=["x"]), "format"),
            (dict(tensors, sparsity_config={"format": "sparse-24-bitmask"}), "sparsity_config"),
            (dict(tensors, ignore="lm_head"), "ignore = 'lm_head'"),
            (dict(tensors, ignore=[3]), "ignore"), (dict(tensors, ignore=["*"]), "ignore"),
            (dict(tensors, ignore=["re:(["]), "ignore"),
            (dict(tensors, ignore=[".".join(["mixer"] * 40)]), "ignore"),
            (dict(tensors, ignore=["model.layers.1.mlp.experts.3.up_proj"]),
             "ignore = […]: espera-se todos os especialistas"),
            (dict(tensors, config_groups={"g": {"targets": ["Conv2d"], **groups["group_0"]}}),
             "targets = 'Conv2d'"),
            (dict(tensors, config_groups={"g": {"weights": {"num_bits": 4, "type": "float"}}}),
             "num_bits = 4"),
            (dict(tensors, moe_sparsity_config={"method": "novice", "num_experts": [8]}),
             "method = 'novice'"),
            (dict(tensors, moe_sparsity_config={"method": "prune", "num_experts": [True]}),
             "num_experts"),
            ({"quant_method": "fp8", "expert_dtype": "fp2"}, "expert_dtype = 'fp2'"),
            ({"quant_method": "fp8", "weight_block_size": [0, 128]}, "weight_block_size"),
            ({"quant_method": "gptq", "bits": "4"}, "bits = '4'"),
            ({"quant_method": "auto-round", "bits": 4, "data_type": "gguf"}, "data_type"),
            ({"quant_method": "bitsandbytes"}, "load_in_4bit"))
        for declared, words in rows:
            with self.subTest(declared), temporary_file(
                    dict(LLAMA_8B, quantization_config=declared)) as path:
                self.refused(["--hf-config", path, "--print-model"], words, path)
        for declared, beside, words in (
                (None, {}, "quantization"), (None, {"quantization": {}}, "quantization"),
                (None, {"quantization": {"kv_cache_quant_algo": "FP8"}}, "quant_method"),
                ({"quant_method": "fp8"}, {"quantization": {"quant_algo": "NVFP4"}},
                 "quant_algo = 'NVFP4': contradiz config.json, que diz fp8"),
                ({"quant_algo": "FP8"}, {"quantization": {"quant_algo": "NVFP4"}},
                 "contradiz config.json, que diz FP8")):
            with self.subTest(declared, beside=beside):
                with self.assertRaises(sizing.SizingError) as caught:
                    self.formats(declared, beside=beside)
                self.assertIn(words, str(caught.exception))
                self.assertIn("hf_quant_config.json", str(caught.exception))

    def test_especialistas_podados(self):
        """A poda diz os especialistas de cada camada, que têm de ser os mesmos em todas"""
        def entry(*counts):
            pruning = {"method": "prune", "num_experts": list(counts)}
            return dict(CONFIGS["qwen3-235b"], quantization_config={
                "quant_method": "fp8", "moe_sparsity_config": pruning})
        whole, pruned = self.entry(CONFIGS["qwen3-235b"]), self.entry(entry(None, *[64] * 93))
        self.assertEqual(pruned["num_experts"], 64)
        self.assertEqual(pruned["params_experts"] * 2, whole["params_experts"])
        self.assertEqual(pruned["weights_expert_bytes"], pruned["params_experts"])
        for counts in ((64, 65), (129,)):
            with temporary_file(entry(*counts)) as path:
                self.refused(["--hf-config", path, "--print-model"], "moe_sparsity_config", path)

    def test_mtp(self):
        """Uma camada MTP é a última, a projeção de entrada e, no DeepSeek-V3, embedding e cabeça"""
        hidden, vocab, heads = 7168, 129280, 128
        attention = hidden * (1536 + 512 + 64) + heads * (1536 * 192 + 512 * 256 + hidden * 128)
        experts = (256 + 1) * 3 * hidden * 2048
        layer = (attention + experts) * (8 + 1 / 512) / 8 + 2 * hidden * 256
        projection, copies = 2 * 2 * hidden**2, 2 * 2 * hidden * vocab
        whole = [self.entry(dict(CONFIGS["deepseek-r1"], num_nextn_predict_layers=count))[
            "checkpoint_bytes"] for count in (0, 1, 2)]
        added = layer + projection + copies  # e as normas, uns milésimos por cento
        self.assertAlmostEqual((whole[1] - whole[0]) / added, 1, delta=1e-5)
        self.assertEqual(whole[2] - whole[1], whole[1] - whole[0])
        # o GLM-5 e o Qwen3-Next não guardam as cópias
        hidden, vocab = 2048, 151936
        whole = [self.entry(dict(CONFIGS["qwen3-next"], mtp_num_hidden_layers=count))
                 for count in (0, 1)]
        added = whole[1]["checkpoint_bytes"] - whole[0]["checkpoint_bytes"]
        experts = 3 * hidden * 512 * 513
        attention = hidden * 256 * (16 * 3 + 2 * 2)
        expected = 2 * (experts + attention + hidden * 512 + 2 * hidden**2)
        self.assertAlmostEqual(added / expected, 1, delta=1e-5)

    def test_camadas_que_rascunham(self):
        """O campo mtp: cache, densos e especialistas, sem as cópias do embedding e da cabeça"""
        rows = [(name, CONFIGS[name]) for name in ("deepseek-r1", "qwen3-next", "deepseek-v4")]
        rows.append(("glm-4.5-air", {
            "model_type": "glm4_moe", "hidden_size": 4096, "intermediate_size": 10944,
            "head_dim": 128, "num_attention_heads": 96, "num_key_value_heads": 8,
            "num_hidden_layers": 46, "vocab_size": 151552, "max_position_embeddings": 131072,
            "n_routed_experts": 128, "n_shared_experts": 1, "num_experts_per_tok": 8,
            "moe_intermediate_size": 1408, "first_k_dense_replace": 1,
            "num_nextn_predict_layers": 1}))
        for name, config in rows:
            with self.subTest(name):
                entry, shipped = entry_from_config(config), listed("models", name)
                for field in ("groups", "expert_bytes"):
                    self.assertEqual(entry["mtp"][field], shipped["mtp"][field])
                dense = shipped["mtp"]["dense_bytes"]
                self.assertAlmostEqual(entry["mtp"]["dense_bytes"], dense, delta=dense / 200)
                entry_of("models", entry)  # as regras o aceitam
        one, three = (entry_from_config(dict(CONFIGS["deepseek-r1"],
                                             num_nextn_predict_layers=count))["mtp"]
                      for count in (1, 3))
        self.assertEqual(three["groups"], [dict(one["groups"][0], layers=3)])
        self.assertEqual(three["expert_bytes"], 3 * one["expert_bytes"])
        for config in (dict(CONFIGS["deepseek-r1"], num_nextn_predict_layers=0), LLAMA_8B,
                       CONFIGS["nvidia-nemotron-3-nano-30b-a3b-bf16"]):
            self.assertNotIn("mtp", entry_from_config(config))

    def test_partes_de_uma_camada_mtp(self):
        """A da Nemotron são partes, listadas ou não; as da DSA têm o seu indexador"""
        nemotron = dict(CONFIGS["nvidia-nemotron-3-nano-30b-a3b-bf16"], num_nextn_predict_layers=1)
        attention = 2 * 2688 * 128 * (2 * 32 + 2 * 2)
        projection, moe = 2 * 2 * 2688**2, 2 * 2688 * (128 + 2 * 3712)
        plain = entry_from_config(nemotron)["mtp"]
        self.assertEqual(plain["groups"], [{"kind": "full", "kv_heads": 2, "k_dim": 128,
                                            "v_dim": 128, "layers": 1}])
        self.assertEqual(plain["expert_bytes"], 2 * 128 * 2 * 2688 * 1856)
        norms = 2 * 2 * 2688  # de cada parte
        self.assertEqual(plain["dense_bytes"], attention + projection + moe + 2 * norms)
        for field, value in (("mtp_layers_block_type", ["attention", "moe"]),
                             ("mtp_hybrid_override_pattern", "*E")):
            self.assertEqual(entry_from_config({**nemotron, field: value})["mtp"], plain)
        twice = entry_from_config({**nemotron, "mtp_layers_block_type": ["attention"] * 2})["mtp"]
        self.assertEqual(twice["dense_bytes"], 2 * (attention + norms) + projection)
        self.assertEqual((twice["groups"][0]["layers"], twice["expert_bytes"]), (2, 0))
        for value in (["ring"], 5, {"a": 1}):
            with self.assertRaisesRegex(SizingError, "mtp_layers_block_type"):
                entry_from_config({**nemotron, "mtp_layers_block_type": value})
        sparse = dict(CONFIGS["deepseek-r1"], model_type="glm_moe_dsa", index_head_dim=128,
                      index_n_heads=64, index_topk=2048,
                      indexer_types=["full", "shared"] * 30 + ["full"])
        kinds = [group["kind"] for group in entry_from_config(sparse)["mtp"]["groups"]]
        self.assertEqual(kinds, ["mla", "indexer"])
        short = dict(CONFIGS["deepseek-v4"], compress_ratios=[4] * 61)
        self.assertEqual([group["kind"] for group in entry_from_config(short)["mtp"]["groups"]],
                         ["sliding"])

    def test_recusas(self):
        """O que não é entendido é recusado com o campo; nada é adivinhado"""
        rows = (
            ({"model_type": "mamba9"}, "model_type = 'mamba9'"),
            ({"model_type": None}, "model_type"),
            ({"num_hidden_layers": None}, "num_hidden_layers"),
            ({"num_hidden_layers": -3}, "num_hidden_layers = -3"),
            ({"num_hidden_layers": True}, "num_hidden_layers = true"),
            ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
            ({"hidden_size": "4096"}, "hidden_size = '4096'"),
            ({"hidden_size": float("inf")}, "hidden_size = Infinity"),
            ({"vocab_size": 1.5}, "vocab_size = 1.5"),
            ({"layer_types": ["full_attention"] * 3}, "layer_types"),
            ({"layer_types": ["ring_attention"] * 32}, "layer_types"),
            ({"sliding_window": 4096}, "sliding_window = 4096"),
            ({"cross_layer_kv_sharing": 2}, "cross_layer_kv_sharing = 2"),
            ({"kv_cache_type": "ring"}, "kv_cache_type = 'ring'"),
            ({"num_kv_shared_layers": -1}, "num_kv_shared_layers"),
            ({"tie_word_embeddings": 1}, "tie_word_embeddings = 1"),
            ({"torch_dtype": "int3"}, "torch_dtype = 'int3'"),
            ({"quantization_config": {"quant_method": "magic"}}, "quant_method = 'magic'"),
            ({"quantization_config": 5}, "quantization_config"),
            ({"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {
                "group_0": {}, "group_1": {}}}}, "config_groups"),
            ({"intermediate_size": None}, "intermediate_size"),
            ({"num_hidden_layers": 10**6}, "num_hidden_layers"),
            ({"rope_scaling": {"type": "yarn"}}, "factor"),
            ({"max_position_embeddings": None}, "--effective-context"),
        )
        for changes, words in rows:
            with self.subTest(changes), temporary_file(dict(LLAMA_8B, **changes)) as path:
                self.refused(["--hf-config", path, "--print-model"], words, path)
        for content in (b"", b"[]", b"5", b"{", b"\xff", json.dumps(LLAMA_8B).encode()[:-9]):
            with self.subTest(content), temporary_file(content) as path:
                self.refused(["--hf-config", path, "--print-model"], path)

    def test_sem_contexto(self):
        """Sem max_position_embeddings, --effective-context diz o máximo"""
        config = dict(LLAMA_8B, max_position_embeddings=None)
        self.assertEqual(self.entry(config, "--effective-context=32k")["max_position_embeddings"],
                         32768)

    def test_flags(self):
        """Combinações que não fazem sentido"""
        rest = ["--server=dgx300", "--concurrency=5"]
        self.refused(["--hf-config=x", "--model=y", *rest], "--hf-config", "--model")
        self.refused(["--hf-config=x", *rest], "x", "não existe")
        self.refused(["--model=opt-oss-20b", "--weights-gib=5", *rest], "--weights-gib")
        self.refused(["--print-model"], "--print-model", "--hf-config")
        self.refused(["--print-model", "--hf-config=x", *rest], "--server", "--print-model")
        with temporary_file(LLAMA_8B) as path:
            self.refused(["--hf-config", path, "--models-file=x", *rest], "--models-file")
            self.refused(["--hf-config", path, "--weights-gib=9", "--weights-precision=fp8", *rest],
                         "--weights-gib", "--weights-precision")
            for value in ("0", "-1", "x", "nan", ""):
                self.refused(["--hf-config", path, "--weights-gib=" + value, *rest],
                             "--weights-gib")

# ── Entradas ruins ────────────────────────────────────────────────────────────────────────────


class FlagsRuins(Case):
    """Flags erradas: uma linha, status 2, com a flag, o valor e o esperado"""

    def test_valores(self):
        """Cada flag com cada tipo de valor errado"""
        integers = ("0", "-5", "-1e5", "1.5", "0.5", "1e-3", "1e999999", "1e31", "9" * 31, "nan",
                    "inf", "-inf", "1e400", "", " ", "abc", "1,000", "1.000", "0x10", "1__0", "_1",
                    "1_", "١٢", "1 0", "true", "k", "1kk", "1g", "10%", "--", "\n", "1\n")
        ratios = ("nan", "inf", "-1", "-0.9", "1e400", "", "abc", "0,7", "7k", "0.7.1", "%", "%5",
                  "1e", "--json")
        rows = [("--concurrency", v) for v in integers]
        rows += [(flag, v) for v in integers
                 for flag in ("--effective-context", "--max-num-seqs", "--max-num-batched-tokens")]
        rows += [("--kv-budget-ratio", v)
                 for v in (*ratios, "0", "5", "1.0001", "70", "101%", "0%")]
        rows += [("--peak-headroom-ratio", v) for v in (*ratios, "20", "1.5", "-20%")]
        rows += [("--runtime-overhead-gib", v)
                 for v in ("-5000", "-1", "nan", "inf", "1e400", "", "abc", "1,5", "5%", "1e-31")]
        rows += [("--kv-precision", v) for v in ("fp3", "", "8", "fp8,", "FP 8")]
        rows += [("--ha", v) for v in ("n+9", "", "1", "N+", "no")]
        rows += [(flag, v) for flag in ("--model", "--server", "--storage")
                 for v in ("nope", "", "opt oss", "ópt", "\n\n", "x" * 5000)]
        for flag, value in rows:
            with self.subTest(flag=flag, value=value):
                question = flags({k: v for k, v in BASE.items() if "--" + k != flag})
                line = self.refused([*question, flag + "=" + value], flag)
                if len(value) < 50:
                    self.assertIn(value if value.isprintable() else repr(value)[1:-1], line)
                self.assertLess(len(line), 300)

    def test_valor_negativo_separado(self):
        """`--concurrency -1e5`, sem `=`, também nomeia o valor"""
        for flag, value in (("--concurrency", "-1e5"), ("--kv-budget-ratio", "-inf"),
                            ("--concurrency", "-5")):
            self.refused([*flags(BASE), flag, value], flag, value, "espera-se")

    def test_dicas(self):
        """A mensagem ensina: vírgula, milhar, porcentagem, nome parecido"""
        rows = ((("--kv-budget-ratio=0,7",), "o separador decimal é o ponto"),
                (("--concurrency=1.000",), "escreva 1000"),
                (("--peak-headroom-ratio=20",), "20% ou 2000%?"),
                (("--kv-budget-ratio=70",), "70%"),
                (("--concurrency=1e31",), "até 30 dígitos"),
                (("--model=gpt-os-120b",), "talvez 'gpt-oss-120b'"),
                (("--server=dgx30",), "talvez 'dgx300'"),
                (("--storage=profile_defualt",), "talvez 'profile_default'"),
                (("--kv-precision=fp9",), "fp8, fp16, bf16, int8, nvfp4"),
                (("--pp=2",), "talvez '--pipeline-parallel'"),
                (("--max-batch-size=8",), "talvez '--max-num-seqs'"),
                (("--mtp=1",), "talvez '--speculative-tokens'"),
                (("--ha=n1",), "none, n+1, n+2"),
                (("--concurency=5",), "talvez '--concurrency'"),
                (("--users=5",), "talvez '--concurrency'"), (("--usres",), "talvez '--concurr"),
                (("--sessões", "5"), "talvez '--concurrency'"),
                (("--max_model_len=8k",), "talvez '--effective-context'"),
                (("--ctx", "8k"), "talvez '--effective-context'"),
                (("--gpus=8",), "talvez '--nodes' ou '--tensor-parallel'"),
                (("--precision=fp8",), "talvez '--kv-precision' ou '--weights-precision'"),
                (("--server", "DGX", "B300"), "'B300'", "entre aspas"))
        for extra, *hints in rows:
            with self.subTest(extra):
                line = self.refused([*flags(BASE), *extra], *hints)
                self.assertNotIn("7000%", line)  # que também não se aceita

    def test_flags_parecidas(self):
        """Cada nome da tabela leva a flags que existem, e não é uma delas"""
        known = {line.split()[0].rstrip(",") for line in self.ok("--help").splitlines()
                 if line.startswith("  --")}
        for word, meant in NEAR_FLAGS.items():
            self.assertLessEqual(set(meant.split()), known, word)
            self.assertNotIn("--" + word, known)

    def test_nomes(self):
        """Um servidor por nome, apelido, produto ou GPU; brancos no lugar de hífens"""
        def seen(**names):
            return [row[kind]["name"] for row in json.loads(self.ok(
                *flags(dict(BASE, **names)), "--json")) for kind in names]

        rows = (("dgx300", "DGX-B300 dgx_b300 B300 b300"),
                ("dgx200", "H200 NVIDIA_H200_SXM hgx-h200"), ("dgx-b200", "B200"),
                ("dgx-h100", "H100"), ("dgx-a100", "a100 hgx-a100"),
                ("gb200-nvl72", "GB200"), ("l40s-8x", "L40S"), ("dgx-spark", "gb10"))
        wanted = [name for name, others in rows for _ in others.split()]
        given = [other for _, others in rows for other in others.split()]
        first = [others.split()[0] for _, others in rows]
        self.assertEqual(seen(server=",".join(first)), [name for name, _ in rows])
        self.assertEqual([self.sized(server=name)["server"]["name"] for name in given], wanted)
        self.assertEqual(
            seen(server="DGX B300, DGX H200 ,dgx  b200,H200 NVL,H100 SXM 80GB,"
                        "RTX PRO 6000,Servidor com 8 L40S,DGX A100 640GB"),
            ["dgx300", "dgx200", "dgx-b200", "h200-nvl-8x", "dgx-h100",
             "rtx-pro-6000-8x", "l40s-8x", "dgx-a100"])
        self.assertEqual(
            seen(model="Llama 3.3 70B,qwen3 235b,GPT OSS 120B,deepseek r1,Kimi_K2", server="h200"),
            [name for model in ("llama-3.3-70b-instruct", "qwen3-235b-a22b", "opt-oss-120b",
                                "deepseek-r1", "kimi-k2-instruct") for name in (model, "dgx200")])
        self.assertEqual(self.sized(storage="profile default"), self.sized())
        rows = (("server", "nvl72", "'gb200-nvl72' ou 'gb300-nvl72'"),
                ("model", "llama 70b", "'llama-3.1-70b-instruct' ou 'llama-3.3-70b-instruct'"),
                ("model", "deepseek", "'deepseek-v3', 'deepseek-v3.1', 'deepseek-r1' ou"),
                ("model", "llama3.3-70b", "'llama-3.3-70b-instruct'"),
                ("model", "gptoss120b", "'gpt-oss-120b'"), ("storage", "nfs", "'nfs_rdma_aff_a90'"),
                ("server", "H800", "servidor fora do catálogo"))
        for kind, name, hint in rows:
            with self.subTest(name):
                self.refused(flags(dict(BASE, **{kind: name})), "--" + kind, hint)

    def test_gpu_de_varios_servidores(self):
        """A GPU de vários servidores é a do DGX; sem um DGX só, a recusa diz quais são"""
        box = {"gpus": 8, "hbm_per_gpu_gb": 141, "total_hbm_gb": 1128, "gpu": "NVIDIA H200 SXM",
               "notes": "n", "source": "s"}
        rows = (("h200", [dict(box, name="a", product="Servidor A")], None),
                ("h200", [dict(box, name="a", product="DGX A")], "a, dgx200 ou h200-nvl-8x"),
                ("h900", [dict(box, name=name, gpu="NVIDIA H900") for name in "ab"],
                 "escolha a ou b"),
                ("DGX H200", [dict(box, name="a", product="DGX H200")], None),
                ("servidor a", [dict(box, name=name, product="Servidor A") for name in "ab"],
                 "mais de um servidor: escolha a ou b"))
        for name, boxes, hint in rows:
            with self.subTest(name), temporary_file({"servers": boxes}) as path:
                asked = dict(BASE, server=name, servers_file=path)
                if hint:
                    self.refused(flags(asked), "--server '%s'" % name, hint)
                else:
                    self.assertEqual(self.sized(**asked)["server"]["name"], "dgx200")

    def test_milhares(self):
        """1.000, 500.000 e 2.500.000 não são números, salvo onde mil não faria sentido"""
        rows = [(flag, value, hint) for flag in (
            "--node-price", "--runtime-overhead-gib", "--requests-per-second", "--max-tpot-ms",
            "--max-ttft-ms") for value, hint in (
                ("1.000", "escreva 1000, ou 1.0"), ("500.000", "escreva 500000, ou 500.0"),
                ("2.500.000", "escreva 2500000\n"), ("38.125", "escreva 38125, ou 38.1250"),
                ("1.500k", "escreva 1500k, ou 1.5k"))]
        rows += [(flag, value, hint) for flag in (
            "--concurrency", "--effective-context", "--nodes", "--tensor-parallel",
            "--input-tokens", "--output-tokens") for value, hint in (
                ("1.000", "escreva 1000\n"), ("2.500.000", "escreva 2500000\n"))]
        rows += [("--concurrency", "5,1.000", "escreva 1000;"),
                 ("--kv-budget-ratio", "1.000", "escreva 1.0\n"),
                 ("--gpu-memory-utilization", "1.000", "escreva 1.0\n"),
                 ("--peak-headroom-ratio", "12.500%", "escreva 12500%, ou 12.5%"),
                 ("--peak-headroom-ratio", "+1.500", "não se separa\n"),
                 ("--runtime-overhead-gib", "-1.000", "não se separa\n"),
                 ("--calibrate-tpot-ms", "38.500@64", "escreva 38500, ou 38.5 (MS@SESSÕES"),
                 ("--calibrate-tpot-ms", "38.5@1.000", "escreva 1000 (MS@SESSÕES")]
        asked = {name: value for name, value in BASE.items() if name != "concurrency"}
        for flag, value, hint in rows:
            with self.subTest(flag=flag, value=value):
                self.refused([*flags(asked), flag + "=" + value], flag, value.split(",")[-1], hint)
        self.refused(["--weights-gib=10.000", "--hf-config=x", "--server=dgx300"], "--weights-gib",
                     "escreva 10000, ou 10.0")
        for changes, same in (({"kv_budget_ratio": "0.700"}, {}), ({"concurrency": "1_000"}, {}),
                              ({"pue": "1.250"}, {"pue": "1.25"}),
                              ({"node_price": "1.0"}, {"node_price": 1}),
                              ({"energy_price": "1.000", "years": "3.000"},
                               {"energy_price": 1, "years": 3})):
            with self.subTest(changes):
                self.assertEqual(self.sized(**changes), self.sized(**same))

    def test_overhead_zero(self):
        """--runtime-overhead-gib 0 é zero, e não o padrão"""
        document = self.sized(runtime_overhead_gib=0)
        self.assertEqual(document["parameters"]["runtime_overhead_gib"], 0)
        self.assertEqual(document["results"]["kv_budget_bytes"], 2304 * 10**9 * 7 // 10)
        self.assertEqual(document["results"]["sessions_per_node"], 666)
        self.refused([*flags(BASE), "--runtime-overhead-gib=-0.1"], "de 0 em diante")

    def test_forma(self):
        """Flags desconhecidas, abreviadas, sem valor, com valor demais, faltando ou sobrando"""
        rows = ((["--bogus"], "--bogus"), (["extra"], "extra"), (["--model"], "--model", "falta"),
                (["--kv-budget-ratio", "--json"], "--kv-budget-ratio", "falta o valor"),
                (["--json=yes"], "--json", "yes"),
                (["--json=it's"], "--json", "it's"), (["--conc", "5"], "--conc"), (["-x"], "-x"),
                (["--list", "models"], "--model", "--list"),
                (["--validate"], "--model", "--validate"))
        for extra, *words in rows:
            with self.subTest(extra):
                self.refused([*flags(BASE), *extra], *words)
        for missing in ("model", "server"):
            with self.subTest(missing=missing):
                self.refused(flags({k: v for k, v in BASE.items() if k != missing}),
                             "falta --" + missing)
        self.refused([], "faltam --model, --server")
        self.refused(["--list"], "--list", "falta")
        self.refused(["--list", "gpus"], "--list", "gpus", "models, servers, storage")
        self.refused(["--list", "models", "--ha", "n+1"], "--ha", "--list")
        self.refused(["--validate", "--list", "models"], "--validate", "--list")

    def test_ultima_vale(self):
        """De uma flag repetida vale a última"""
        self.results({"nodes_minimum": 1}, concurrency="5")
        repeated = json.loads(self.ok(*flags(BASE), "--concurrency=5", "--json"))
        self.assertEqual(repeated["parameters"]["concurrency"], 5)

    def test_escritas_aceitas(self):
        """Maiúsculas, apelidos, sufixos, porcentagens, sublinhados e expoentes"""
        same = self.sized(ha="n+1", kv_precision="fp8")
        rows = ({"model": "GPT-OSS-120B", "server": "DGX-B300", "kv_precision": "FP8",
                 "ha": "N+1"},
                {"model": "openai/gpt-oss-120b", "concurrency": "1k", "effective_context": "128K"},
                {"concurrency": "1e3", "effective_context": "131_072"},
                {"concurrency": "1_000", "peak_headroom_ratio": "20%", "kv_budget_ratio": "70%"},
                {"concurrency": "0.001m", "effective_context": "0.125M", "kv_budget_ratio": ".7"},
                {"concurrency": "+1.0e3", "peak_headroom_ratio": "0.200", "storage":
                 "PROFILE_DEFAULT"})
        for changes in rows:
            with self.subTest(changes):
                other = self.sized(**dict({"ha": "n+1", "kv_precision": "fp8"}, **changes))
                self.assertEqual(other, same)
        self.assertEqual(self.sized(peak_headroom_ratio="150%")["results"]["peak_sessions"], 2500)
        self.assertEqual(self.sized(runtime_overhead_gib="0.12k"), self.sized())

    def test_nada_cabe(self):
        """Status 3, sem número de nós, com o que falta e o que caberia"""
        question = flags(BASE)
        self.refused([*question, "--runtime-overhead-gib=1501.6", "--kv-precision=fp16"],
                     "cabe com --kv-precision fp8", status=3)
        line = self.refused([*question, "--runtime-overhead-gib=5000", "--ha=n+1"],
                            "2.2522 GiB", "faltam", "--runtime-overhead-gib 1499.78", status=3)
        self.assertNotRegex(line, r"[0-9] nós")
        # o orçamento de oito nós: 0.78 sessão
        self.refused([*question, "--runtime-overhead-gib=1501.6", "--kv-precision=fp16"],
                     "--effective-context 12", "--kv-budget-ratio 0.7019", status=3)
        # o da unidade que a réplica toma: dois nós de 640 GB · 20% - 120 GiB
        self.refused(flags({"model": "kimi-k2.5", "server": "dgx-h100", "concurrency": 1,
                            "kv_budget_ratio": 0.2}),
                     "o orçamento de 2 nós é de -1.5814 GiB", status=3)
        self.refused([*question, "--runtime-overhead-gib=2146", "--kv-budget-ratio=0.001"],
                     "nenhuma flag sozinha basta", "em nenhum servidor", status=3)


ABSENT = object()  # o campo não está
# Tipo de um campo → (o que a recusa diz que se espera, valores que ela recusa).
FIELD_TYPES = {
    "inteiro": ("um inteiro positivo", (True, "8", 1.5, 8.0, 0, -1, [], {})),
    "poucos": ("um inteiro positivo até 4096", (True, "8", 1.5, 0, -1, 4097, [], {})),
    "número": ("um número positivo", (True, "8", 0, -1, -0.5, [], {})),
    "capacidade": ("um número de 5 a 20", (True, "8", 0, -1, 4.9, 21, [], {})),
    "nome": ("um nome de até 80 letras, dígitos, '.', '_', '/', '+' e '-'",
             (5, "", "a b", "a,b", "ç", "x" * 81, "\n", [])),
    "nomes": ("uma lista de nomes", (5, "abc", [5], [""], ["a b"], {})),
    "linha": ("um texto de uma linha, não vazio", (5, "", " ", "a\nb", [])),
    "texto": ("um texto não vazio ou uma lista deles", (5, "", [], [5], [""], {})),
    "lógico": ("true ou false", (5, "", 0, [])),
    "grupos": ("uma lista de grupos de camadas", (5, "", {}, [], [5], True)),
    "atenção": ("um destes: full, sliding, hybrid, groups", (5, "", "FULL", True, [])),
    "MTP": ("um objeto com groups, dense_bytes e expert_bytes", (5, "", [], True)),
    "KV": ("um destes: fp8, fp16, bf16, int8, nvfp4", (5, "", "FULL", True, [])),
    "pesos": ("um destes: bf16, fp16, fp8, int8, mxfp4, nvfp4, int4", (5, "", "FULL", True, [])),
    "fonte": ("um destes: safetensors, index, counted, flag", (5, "", "FULL", True, [])),
    "storage": ("um destes: local, network, cloud", (5, "", "FULL", True, [])),
    "escopo": ("um destes: node, shared", (5, "", "FULL", True, []))}
# Os campos de cada catálogo: obrigatórios; obrigatórios que podem ser null; os que podem faltar e
# não podem ser null; e os que podem faltar.
CATALOGUE_FIELDS = {
    "models": {
        "required": "name=nome num_layers=inteiro num_key_value_heads=inteiro head_dim=inteiro "
                    "max_position_embeddings=inteiro attention_pattern=atenção "
                    "notes=texto source=texto",
        "nullable": "",
        "default": "default_kv_precision=KV aliases=nomes multimodal=lógico "
                   "bidirectional_images=lógico replicates_kv_heads=lógico",
        "optional": "hybrid_full_layers=inteiro hybrid_sliding_layers=inteiro "
                    "sliding_window=inteiro groups=grupos hf_id=nome vocab_size=inteiro "
                    "hidden_size=inteiro num_attention_heads=inteiro intermediate_size=inteiro "
                    "moe_layers=inteiro num_experts=inteiro experts_per_token=inteiro "
                    "moe_intermediate_size=inteiro qk_nope_head_dim=inteiro v_head_dim=inteiro "
                    "index_n_heads=inteiro index_topk=inteiro params_total=inteiro "
                    "params_active=inteiro params_experts=inteiro params_embedding=inteiro "
                    "native_precision=pesos checkpoint_bytes=inteiro weights_dense_bytes=inteiro "
                    "weights_expert_bytes=inteiro weights_replicated_bytes=inteiro "
                    "weights_source=fonte launch_args=linha mtp=MTP assumed=linha"},
    "servers": {
        "required": "name=nome gpus=poucos hbm_per_gpu_gb=número total_hbm_gb=número notes=texto "
                    "source=texto",
        "nullable": "",
        "default": "aliases=nomes speed_measured=lógico",
        "optional": "product=linha gpu=linha compute_capability=capacidade "
                    "hbm_usable_gib_per_gpu=número hbm_bandwidth_tbps=número "
                    "tflops_bf16=número tflops_fp8=número tflops_fp4=número "
                    "nvlink_bandwidth_tbps=número nvlink_domain_gpus=inteiro "
                    "pcie_bandwidth_gbps=número network_gbps_per_gpu=número "
                    "system_memory_tb=número power_kw=número "
                    "rack_units=inteiro heat_btu_h=inteiro max_num_seqs=inteiro "
                    "max_num_batched_tokens=inteiro"},
    "storage": {
        "required": "name=nome type=storage throughput_read_gbps=número notes=texto source=texto",
        "nullable": "iops_read=inteiro iops_write=inteiro throughput_write_gbps=número "
                    "latency_read_ms_p50=número latency_write_ms_p50=número "
                    "latency_read_ms_p99=número latency_write_ms_p99=número",
        "default": "aliases=nomes",
        "optional": "scope=escopo"}}


def catalogue_fields(kind):
    """(campo, tipo, obrigação) de cada campo de um catálogo."""
    for duty, text in CATALOGUE_FIELDS[kind].items():
        for pair in text.split():
            yield (*pair.split("="), duty)


class CatalogosRuins(Case):
    """Catálogos errados: arquivo, linha, caminho, valor e esperado"""

    def entry_refused(self, kind, changes, *words):
        """Um catálogo com a primeira entrada mudada é recusado, também por --validate."""
        document = catalogue(kind)
        entry = document[ROOTS[kind]][0]
        for key, value in changes.items():
            if value is ABSENT:
                del entry[key]
            else:
                entry[key] = value
        with temporary_file(document) as path:
            flag = "--%s-file=%s" % (kind, path)
            line = self.refused([*flags(BASE), flag], path, "linha ", *words)
            listed = run("--validate", flag)
            self.assertEqual((listed.returncode, listed.stderr), (2, ""))
            self.assertIn(line.replace("sizing.py: ", "").split(" (e mais")[0].strip(),
                          listed.stdout)

    def test_cada_campo(self):
        """Cada campo de cada catálogo recusa cada tipo errado"""
        documented = {"models": {"kv_groups", "weights_gib"}, "servers": {"total_hbm_gib"}}
        for kind in ROOTS:
            good, cases = catalogue(kind)[ROOTS[kind]][0], []
            for name, field_type, duty in catalogue_fields(kind):
                expected, values = FIELD_TYPES[field_type]
                expected += " ou null" if duty == "nullable" else ""
                values = [*values, *[None] * (duty in ("required", "default")),
                          *[ABSENT] * (duty in ("required", "nullable"))]
                cases += [(name, value, expected) for value in values]
            entries = []  # uma entrada por caso, com um só campo errado
            for number, (name, value, _) in enumerate(cases):
                entry = dict(good, name="caso%d" % number, aliases=[])
                entry.pop("hf_id", None)
                entry.pop(name, None)
                if value is not ABSENT:
                    entry[name] = value
                entries.append(entry)
            with temporary_file({ROOTS[kind]: entries}) as path, \
                    unittest.mock.patch.object(sizing, "MAX_PROBLEMS", len(cases)):
                done = in_this_process(["--validate", "--json", "--%s-file=%s" % (kind, path)])
                with open(path, encoding="utf-8") as file:
                    lines = file.read().splitlines()
            self.assertEqual((done.returncode, done.stderr), (2, ""))
            problems = json.loads(done.stdout)["problems"]
            self.assertEqual(len(problems), len(cases))
            for number, (problem, (name, value, expected)) in enumerate(zip(problems, cases)):
                with self.subTest(kind=kind, field=name, value=value):
                    place = re.match(r"%s, linha (\d+), %s\[%d\](\.\w+)?" % (
                        re.escape(path), ROOTS[kind], number), problem)
                    self.assertTrue(place, problem)
                    self.assertIn(name, problem)
                    self.assertIn(expected, problem)
                    if value is not ABSENT:
                        self.assertEqual(place[2], "." + name)
                        self.assertIn('"%s"' % name, lines[int(place[1]) - 1])
            shown = set(self.sized()[{"models": "model", "servers": "server"}.get(kind, kind)])
            self.assertEqual(shown - documented.get(kind, set()),
                             {name for name, _, _ in catalogue_fields(kind)})

    def test_camadas_que_rascunham(self):
        """O que está errado dentro de mtp, com o caminho inteiro"""
        good = listed("models", "deepseek-r1")["mtp"]
        group = good["groups"][0]
        rows = (
            ({"dense_bytes": 0}, "mtp.dense_bytes = 0", "inteiro positivo"),
            ({"dense_bytes": ABSENT}, "mtp.dense_bytes:", "inteiro positivo"),
            ({"expert_bytes": -1}, "mtp.expert_bytes = -1", "de 0 em diante"),
            ({"expert_bytes": True}, "mtp.expert_bytes = true", "de 0 em diante"),
            ({"hf_id": ""}, "mtp.hf_id", "espera-se"), ({"hf_id": 3}, "mtp.hf_id = 3", "ou nada"),
            ({"experts": 5}, "mtp.experts", "chave desconhecida", "expert_bytes"),
            ({"groups": []}, "mtp.groups = […]", "lista de grupos"),
            ({"groups": [dict(group, layers=0)]}, "mtp.groups[0].layers = 0"),
            ({"groups": [group, dict(group, kind="ring")]}, "mtp.groups[1].kind = 'ring'"),
            ({"groups": [dict(group, window=9)]}, "mtp.groups[0].window = 9"))
        for changes, *words in rows:
            mtp = {key: value for key, value in dict(good, **changes).items()
                   if value is not ABSENT}
            with self.subTest(changes):
                self.entry_refused("models", {"mtp": mtp}, "models[0]." + words[0], *words[1:])

    def test_linha_de_comando(self):
        """Uma amostra de campos errados como o usuário a vê"""
        self.entry_refused("models", {"num_layers": "36"}, "models[0].num_layers = '36'",
                           "inteiro positivo")
        self.entry_refused("models", {"num_layers": True}, "models[0].num_layers = true")
        self.entry_refused("models", {"head_dim": None}, "models[0].head_dim = null")
        self.entry_refused("models", {"notes": ABSENT}, "models[0]", "falta o campo 'notes'")
        self.entry_refused("models", {"num_layer": 5}, "models[0].num_layer",
                           "chave desconhecida", "num_layers")
        self.entry_refused("servers", {"gpus": 8.5}, "servers[0].gpus = 8.5")
        self.entry_refused("storage", {"iops_read": -1}, "profiles[0].iops_read = -1")

    def test_sessao_sem_bytes(self):
        """Um token em cada 64 e nada mais: um contexto menor que isso se recusa, sem dividir"""
        entry = next(dict(model) for model in catalogue("models")["models"]
                     if model["name"] == "llama-3.1-8b-instruct")
        entry.update(name="comprimido", aliases=[], num_layers=2, attention_pattern="groups",
                     groups=[{"kind": "none", "layers": 2},
                             {"kind": "compressed", "layers": 2, "dim": 512, "ratio": 64}])
        del entry["hf_id"]
        with temporary_file({"models": [entry]}) as path:
            base = {"models_file": path, "model": "comprimido", "server": "dgx300"}
            self.ok("--validate", "--models-file", path)
            for changes in ({"effective_context": 63}, {"effective_context": 127,
                                                         "shared_prefix_tokens": 64,
                                                         "output_tokens": 1}):
                self.refused(flags(dict(base, concurrency=10, **changes)), "--effective-context",
                             "espera-se um contexto maior")
            self.results({"kv_per_session_bytes": 2 * 512}, effective_context=64, **base)
            self.ok(*flags(dict(base, nodes=1, concurrency=10)))  # a busca passa por eles

    def test_cada_tipo_de_grupo(self):
        """Um modelo de um só tipo de grupo, em contextos curtos: toda tela responde ou recusa"""
        sizes = {"state_bytes": 70000, "window": 64, "chunk": 64, "ratio": 64, "k_dim": 64,
                 "v_dim": 64, "dim": 512, "index_head_dim": 128, "kv_lora_rank": 512,
                 "qk_rope_head_dim": 64}
        screens = ([], ["--explain"], ["--json"], ["--csv"], ["--html"], ["--scenarios"],
                   ["--explain", "--json"])
        plain = dict(listed("models", "llama-3.1-8b"), name="curto", aliases=[], num_layers=2,
                     attention_pattern="groups")
        del plain["hf_id"]
        kinds = {kind: fields for kind, (fields, _) in sizing.KINDS.items() if kind != "none"}
        for number, (kind, fields) in enumerate(kinds.items()):
            group = dict({name: sizes.get(name, 8) for name in fields}, kind=kind, layers=2)
            rider = [{"kind": "none", "layers": 2}] if kind in sizing.RIDERS else []
            with temporary_file({"models": [dict(plain, groups=[group, *rider])]}) as path:
                self.ok("--validate", "--models-file", path)
                for context, precision in ((1, "fp8"), (63, "int8")):
                    args = flags({"models_file": path, "model": "curto", "server": "dgx300",
                                  "concurrency": 9, "effective_context": context,
                                  "kv_precision": precision})
                    screen = screens[(number + context) % len(screens)]
                    result = run(*args, *screen)
                    self.assertIn(result.returncode, (0, 2), (args, screen, result.stderr))
                    if result.returncode:
                        self.assertRegex(result.stderr, r"\Asizing\.py: --(kv-p|effective-c).*\n\Z")
                    self.assertEqual(result.returncode, run(*args).returncode)

    def test_contradicoes(self):
        """Campos que se contradizem"""
        rows = (
            ("models", {"hybrid_full_layers": 30, "hybrid_sliding_layers": 30}, ("60", "36")),
            ("models", {"hybrid_full_layers": 10}, ("28", "36")),
            ("models", {"hybrid_full_layers": None}, ("hybrid_full_layers = null",)),
            ("models", {"sliding_window": ABSENT}, ("sliding_window",)),
            ("models", {"attention_pattern": "full", "hybrid_full_layers": None,
                        "hybrid_sliding_layers": None}, ("sliding_window = 128", "null")),
            ("models", {"attention_pattern": "sliding"}, ("hybrid_full_layers = 18", "null")),
            ("servers", {"total_hbm_gb": 2300}, ("total_hbm_gb = 2300", "2304")),
            ("servers", {"hbm_usable_gib_per_gpu": 289}, ("hbm_usable_gib_per_gpu = 289", "288")),
            ("servers", {"gpus": 5000, "total_hbm_gb": 1440000}, ("gpus = 5000", "4096")),
            ("models", {"params_total": 1000}, ("params_active", "params_total, 1000")),
            ("models", {"experts_per_token": 1000}, ("experts_per_token = 1000", "128")),
            ("models", {"num_key_value_heads": 100}, ("num_key_value_heads = 100", "64")),
            ("storage", {"latency_read_ms_p99": 0.01}, ("latency_read_ms_p99 = 0.01", "0.08")),
            ("models", {"aliases": ["x", "X"]}, ("nome repetido", "'X'")),
            ("models", {"aliases": ["x_y", "x-y"]}, ("nome repetido", "'x-y'")),
            ("models", {"aliases": ["opt-oss-20b"]}, ("nome repetido", "'opt-oss-20b'")),
            ("servers", {"name": "DGX200"}, ("nome repetido",)),
        )
        for kind, changes, words in rows:
            with self.subTest(kind=kind, changes=changes):
                self.entry_refused(kind, changes, *words)
        document = catalogue("storage")  # P50 e P99 podem ser iguais
        document["profiles"][0]["latency_read_ms_p99"] = document["profiles"][0][
            "latency_read_ms_p50"]
        with temporary_file(document) as path:
            self.results({"nodes_final": 2}, storage_file=path)

    def test_arquivos(self):
        """O que não é JSON, não é UTF-8, não é um catálogo ou não se lê"""
        good = json.dumps(catalogue("models")).encode()
        rows = (
            (b"", "JSON inv"), (b"{", "JSON inv"), (good[:-20], "JSON inv"),
            (good + b"x", "JSON inv"), (b"not json", "JSON inv"), (b"\xff\xfe", "UTF-8"),
            ("ç".encode("latin-1"), "UTF-8"), (b"[" * 100000, "aninhamento"), (b"[]", "models"),
            (b"5", "models"), (b"null", "models"), (b"{}", "models"), (b'{"a": []}', "models"),
            (b'{"models": []}', "entradas"), (b'{"models": {}}', "entradas"),
            (b'{"models": [5]}', "objeto"), (b'{"models": [null]}', "objeto"),
            (good.replace(b'"models"', b'"extra": 1, "models"'), "extra"),
            (good.replace(b": 36,", b": NaN,"), "num_layers = NaN"),
            (good.replace(b": 36,", b": Infinity,"), "num_layers = Infinity"),
            (good.replace(b": 36,", b": 1e400,"), "num_layers"),
            (good.replace(b": 36,", b": " + b"9" * 5000 + b","), "num_layers"),
            (good.replace(b": 36,", b": 36.0,"), "num_layers"),
        )
        for content, word in rows:
            with self.subTest(content[:30]), temporary_file(content) as path:
                self.refused([*flags(BASE), "--models-file", path], path, word)
        for path in (ROOT, os.path.join(ROOT, "no", "such.json"), "", "no\nsuch"):
            for kind in ("models", "servers", "storage"):
                with self.subTest(path=path, kind=kind):
                    self.refused([*flags(BASE), "--%s-file=%s" % (kind, path)],
                                 path if path.isprintable() else "no\\nsuch")

    @unittest.skipIf(os.name == "nt" or not hasattr(os, "geteuid"), "só em POSIX")
    def test_ilegivel(self):
        """Um arquivo que existe e não se lê"""
        with temporary_file(b"{}") as path:
            os.chmod(path, 0)
            word = "models" if os.geteuid() == 0 else "sem permiss"  # root lê tudo
            self.refused([*flags(BASE), "--models-file", path], path, word)
        if os.path.exists("/proc/self/mem"):
            self.refused([*flags(BASE), "--models-file=/proc/self/mem"], "/proc/self/mem", "erro")
        if os.path.exists("/dev/zero"):
            self.refused([*flags(BASE), "--models-file=/dev/zero"], "/dev/zero", "2 MiB")

    def test_hostis(self):
        """Problemas demais: os primeiros, com sugestão só neles, e quantos são os outros"""
        good = catalogue("models")["models"][0]
        many = 5000
        bad = dict(good, **{"nun_layers%d" % i: 1 for i in range(many)})
        asked = []
        with temporary_file({"models": [bad]}) as path, unittest.mock.patch.object(
                sizing, "closest", lambda word, known: asked.append(word) or ""):
            shown = in_this_process(["--validate", "--models-file", path]).stdout.splitlines()
            self.assertEqual((len(asked), len(shown)), (sizing.MAX_PROBLEMS, len(asked) + 1))
            self.assertEqual(shown[-1], "%s: e mais %d problemas" % (path, many - len(asked)))
            self.refused([*flags(BASE), "--models-file", path], "nun_layers0",
                         "(e mais %d problemas: veja --validate)" % (many - 1))
        repeated = b'{"models": [{%s}]}' % b",".join([b'"a": 1'] * many)
        with temporary_file(repeated) as path:
            self.assertIn("chave repetida", self.refused([*flags(BASE), "--models-file", path]) +
                          in_this_process(["--validate", "--models-file", path]).stdout)
        bounds = (("MAX_JSON_PARTS", 50, {"models": [1] * 60}, "passa de 50 números e objetos"),
                  ("MAX_ENTRIES", 50, {"models": [good] * 51}, "até 50"),
                  ("MAX_CATALOGUE_BYTES", 1 << 20, b" " * ((1 << 20) + 1), "passa de 1 MiB"))
        for name, most, document, word in bounds:
            with unittest.mock.patch.object(sizing, name, most), temporary_file(document) as path:
                done = in_this_process([*flags(BASE), "--models-file", path])
                self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1))
                self.assertIn(word, done.stderr)

    def test_texto_de_quem_pergunta(self):
        """De nomes, chaves e valores longos, no máximo 200 caracteres, o começo e o fim"""
        good = catalogue("models")["models"][0]
        long = "kx" * 50000  # abaixo dos 128 KiB de um argumento
        for entry in (dict(good, **{long: 1}), dict(good, name=long),
                      dict(good, **{"\x01" * 500: 1}),
                      dict(good, attention_pattern="groups", groups=[{"kind": "full", long: 1}])):
            with temporary_file({"models": [entry]}) as path:
                error = self.refused([*flags(BASE), "--models-file", path])
                self.assertLess(error.count("kx") * 2 + error.count("x01") * 4, 130, error)
        for flag in ("--models-file", "--hf-config", "--engine-log", "--model"):
            question = {key: value for key, value in BASE.items()
                        if key != "model" or flag in ("--models-file", "--engine-log")}
            error = self.refused([*flags(question), flag, "/tmp/%s.json" % long])
            self.assertLessEqual(error.count("kx") * 2, 200, error)

    def test_chaves_repetidas(self):
        """Chaves repetidas, com as duas linhas; o que está dentro não é acusado de novo"""
        text = b'{"models": [\n{"name": "a",\n"name": "b"}],\n"models": []}'
        with temporary_file(text) as path:
            done = run("--validate", "--models-file", path)
        self.assertEqual(done.returncode, 2)
        self.assertIn("linha 4, models: chave repetida, já usada na linha 1", done.stdout)
        self.assertEqual(done.stdout.count("chave repetida"), 2)
        self.assertIn("linha 3, models[0].name: chave repetida, já usada na linha 2", done.stdout)
        text = b'{"models": [{"name": "a"}],\n"models": [{"name": "b"}]}'
        with temporary_file(text) as path:
            self.assertEqual(run("--validate", "--models-file", path).stdout.count(
                "chave repetida"), 1)
        text = b'{"servers": [\n{"gpus": 1,\n"gpus": "x",\n"gpus": 2, "gpus": "y"}]}'
        with temporary_file(text) as path:  # um valor errado fica na linha do que vale, a última
            shown = run("--validate", "--servers-file", path).stdout
        self.assertIn("linha 4, servers[0].gpus = 'y'", shown)
        for line in (3, 4):
            self.assertIn("linha %d, servers[0].gpus: chave repetida, já usada na linha 2" % line,
                          shown)
        self.assertEqual(shown.count("chave repetida"), 3)
        good = json.dumps(catalogue("models")).replace('"num_layers": 36,',
                                                       '"num_layers": 36, ' * 2)
        with temporary_file(good.encode()) as path:
            self.refused([*flags(BASE), "--models-file", path], "num_layers", "chave repetida")

    def test_contradicao_ao_lado(self):
        """Uma chave desconhecida não esconde a contradição da mesma entrada"""
        document = catalogue("servers")
        document["servers"][0].update(total_hbm_gb=5, color="azul")
        with temporary_file(document) as path:
            lines = run("--validate", "--servers-file", path).stdout.splitlines()
        self.assertEqual(len(lines), 2, lines)
        self.assertIn("color", lines[1])
        self.assertIn("total_hbm_gb = 5", lines[0])

    def test_bom(self):
        """Um BOM de UTF-8 é aceito"""
        content = b"\xef\xbb\xbf" + json.dumps(catalogue("models")).encode()
        with temporary_file(content) as path:
            self.results({"nodes_final": 2}, models_file=path)

    def test_todos_os_problemas(self):
        """--validate lista todos os problemas dos três arquivos; a execução comum diz o primeiro"""
        models, servers = catalogue("models"), catalogue("servers")
        models["models"][0].update(num_layers=0, head_dim=None)
        models["models"][1].update(notes="", color="azul")
        servers["servers"][1]["total_hbm_gb"] = 1
        with temporary_file(models) as models_file, temporary_file(servers) as servers_file:
            args = ["--models-file", models_file, "--servers-file", servers_file]
            done = run("--validate", *args)
            self.assertEqual((done.returncode, done.stderr), (2, ""))
            lines = done.stdout.splitlines()
            self.assertEqual(len(lines), 5, done.stdout)
            for line, word in zip(lines, ("num_layers", "head_dim", "notes", "color",
                                          "total_hbm_gb")):
                self.assertIn(word, line)
            document = json.loads(run("--validate", "--json", *args).stdout)
            self.assertEqual(document["problems"], lines)
            self.refused([*flags(BASE), *args], "num_layers", "mais 3 problemas")

    def test_so_as_usadas(self):
        """Das de fábrica, uma pergunta só confere as que nomeia; nome repetido ela sempre acusa"""
        document = catalogue("models")
        names = [entry["name"] for entry in document["models"]]
        used, other = document["models"][2], document["models"][5]
        other.update(num_layers=-1, color="azul")
        for name in (used["name"], used["aliases"][0].upper(), used["hf_id"].replace("-", " ")):
            self.assertEqual(loaded_alone("models", document, name), ([used["name"]], []))
        self.assertEqual(loaded_alone("models", document, names[0], names[2])[0],
                         [names[0], names[2]])
        for asked in ([other["name"]], [names[0], other["name"]], [], ["all"], ["sem-nome"]):
            found, problems = loaded_alone("models", document, *asked)
            self.assertEqual(len(problems), 2, asked)
            self.assertIn("models[5].num_layers = -1", "".join(problems))
            if "all" in asked or not asked:
                self.assertEqual(found, names[:5] + names[6:])
        for twice, said in (({"aliases": [used["name"]]}, "já é de models[2]"),
                            ({"hf_id": used["hf_id"].upper()}, "já é de models[2]"),
                            ({"aliases": 5}, "models[7].aliases = 5"),
                            ({"hf_id": 5}, "models[7].hf_id = 5"),
                            ({"name": None}, "models[7].name = null")):
            changed_one = catalogue("models")
            changed_one["models"][7].update(twice)
            self.assertIn(said, "".join(loaded_alone("models", changed_one, used["name"])[1]))
        for broken in ([], {"models": {}}, {"models": []}, {"models": [None]}, {"models": [[]]}):
            self.assertTrue(loaded_alone("models", broken, used["name"])[1], broken)

    def test_so_as_usadas_no_processo(self):
        """Um catálogo de fábrica com um erro responde pelos outros; --list e --validate o acusam"""
        document = catalogue("models")
        broken, sound = (document["models"][index]["name"] for index in (4, 2))
        document["models"][4]["num_layers"] = 0
        with tempfile.TemporaryDirectory() as folder:
            for name in ("sizing.py", "servers.json", "storage.json"):
                shutil.copy(os.path.join(ROOT, name), folder)
            with open(os.path.join(folder, "models.json"), "w", encoding="utf-8") as file:
                json.dump(document, file, indent=1)
            for args, status in ((["--model", sound, "--server=dgx200"], 0),
                                 (["--model", broken, "--server=dgx200"], 2),
                                 (["--model=all", "--server=dgx200"], 2),
                                 (["--list=models"], 2), (["--validate"], 2)):
                done = subprocess.run(
                    [sys.executable, os.path.join(folder, "sizing.py"), *args],
                    capture_output=True, env=utf8_environment())
                said = (done.stdout + done.stderr).decode("utf-8")
                self.assertEqual((done.returncode, "models[4].num_layers = 0" in said),
                                 (status, status == 2), args)

    def test_precisao_padrao(self):
        """`default_kv_precision` pode faltar: fp8"""
        model = dict(listed("models", "llama-3.1-8b"), name="meu", aliases=[], hf_id="eu/meu")
        for changes, used in (({}, "fp8"), ({"default_kv_precision": "bf16"}, "bf16")):
            with temporary_file({"models": [dict(model, **changes)]}) as path:
                document = self.sized(model="meu", models_file=path)
                self.assertEqual(document["parameters"]["kv_precision"], used)
                self.assertEqual(document["model"]["default_kv_precision"], used)

    def test_bytes_de_fabrica(self):
        """Em todo modelo de fábrica, os bytes são os dos parâmetros na precisão que ele declara"""
        # Bits por parâmetro: dos especialistas, ou das lineares de um denso, e do que sobra.
        bits = {"bf16": (16, 16), "fp16": (16, 16), "fp8": (8, 8.25), "mxfp4": (4.25, 4.25),
                "nvfp4": (4.5, 4.5), "int4": (4.125, 4.5)}
        models = catalogue("models")["models"]
        ids = [model["hf_id"].lower() for model in models]
        self.assertEqual(sorted(set(ids)), sorted(ids))
        for model in map(Described, models):
            with self.subTest(model.name):
                least, most = bits[model.native_precision]
                experts, dense = model.weights_expert_bytes or 0, model.weights_dense_bytes
                self.assertLessEqual(least * (model.params_experts or 0) / 8, experts + 1)
                self.assertLessEqual(experts, most * 1.0005 * (model.params_experts or 0) / 8)
                others = model.params_total - (model.params_experts or 0)
                in_16_bits = 2 * model.params_embedding
                linear = others - model.params_embedding
                widest = 16 if experts or least == 16 else 12  # a atenção pode ficar em 16
                self.assertLessEqual(
                    (min(8, least) if experts else least) / 8 * linear + in_16_bits, dense + 1)
                self.assertLessEqual(dense, 1.07 * (widest / 8 * linear + in_16_bits))
                own = {} if "hf_id" in (model.mtp or {}) else model.mtp or {}  # no checkpoint
                drafts = sum(own.get(name, 0) for name in ("dense_bytes", "expert_bytes"))
                copies = 4 * model.hidden_size * model.vocab_size if drafts else 0
                whole = dense + experts + drafts
                self.assertLessEqual(whole * 0.998, model.checkpoint_bytes)
                self.assertLessEqual(model.checkpoint_bytes, 1.002 * (whole + copies))
                self.assertLessEqual(model.weights_replicated_bytes or 0, dense - in_16_bits)
                self.assertIn(model.hf_id, str(model.source))

    def test_estender(self):
        """Modelo, servidor e storage novos só editando JSON"""
        models, servers, storage = map(catalogue, ("models", "servers", "storage"))
        models["models"].append(dict(models["models"][0], name="meu-modelo", aliases=["mm"],
                                     hf_id="eu/meu-modelo"))
        servers["servers"].append(dict(servers["servers"][0], name="meu-servidor", aliases=[]))
        storage["profiles"].append(dict(storage["profiles"][0], name="meu-disco"))
        with temporary_file(models) as a, temporary_file(servers) as b, \
                temporary_file(storage) as c:
            document = self.sized(model="MM", server="meu-servidor", storage="meu-disco",
                                  models_file=a, servers_file=b, storage_file=c)
        self.assertEqual(document["results"], self.sized()["results"])
        self.assertEqual(document["model"]["name"], "meu-modelo")

    def test_juntar(self):
        """As entradas de um arquivo dado se juntam às de fábrica; de um nome, vale a dada"""
        box = dict(listed("servers", "dgx200"), product="Caixa", aliases=[])
        mine = [dict(box, name="caixa"), dict(box, name="DGX-B300", power_kw=1)]
        with temporary_file({"servers": mine}) as path:
            given = dict(BASE, servers_file=path)
            rows = json.loads(self.ok(*flags(dict(given, server="caixa,dgx200,dgx300,dgx-b300")),
                                      "--json"))
            self.assertEqual([row["server"]["name"] for row in rows],
                             ["caixa", "dgx200", "dgx300", "DGX-B300"])
            self.assertEqual([row["physical"]["power_kw"] / row["results"]["nodes_final"]
                              for row in rows], [10.2, 10.2, 15, 1])
            told = "servidor DGX-B300 de %s, no lugar do de fábrica" % path
            self.assertEqual([[w for w in row["warnings"] if "catalogue_over" in w]
                              for row in rows], [[], [], [], [
                                  "catalogue_override: %s; com outro name, os dois se comparam"
                                  % told]])
            self.assertEqual(rows[3]["server"]["overrides"], path)
            self.assertNotIn("overrides", rows[0]["server"])
            table = self.ok(*flags(dict(given, server="caixa,dgx-b300")))
            self.assertIn(told.replace(" ", ""), "".join(table.split()))
            self.assertIn("catalogue_override: ", self.ok(*flags(dict(given, server="dgx-b300"))))
            shown = self.ok("--list", "servers", "--servers-file", path)
            self.assertLess(shown.index("\ncaixa "), shown.index("\ndgx300 "))
            self.assertIn("dgx300           DGX B300", shown)
            self.assertIn("ou hgx-b300\n", shown)  # o apelido tomado saiu
            self.assertIn("Asprimeirassãode%s;depois,asdefábrica;nolugardeumadelas:DGX-B300."
                          % path, "".join(shown.split()))
            entries = json.loads(self.ok("--list", "servers", "--servers-file", path, "--json"))
            self.assertEqual(len(entries), len(catalogue("servers")["servers"]) + 2)
            self.assertEqual(
                self.ok("--validate", "--servers-file", path).splitlines()[1:4],
                ["%s: ok, 2 entradas" % path,
                 "servers.json: ok, %d entradas" % len(catalogue("servers")["servers"]),
                 "  no lugar das de fábrica: DGX-B300"])
        whole = catalogue("servers")  # igual à de fábrica não muda nada
        whole["servers"][0]["power_kw"] = 14
        whole["servers"] = [entry for entry in whole["servers"] if entry["name"] != "l40s-8x"]
        whole["servers"].append(dict(box, name="outra", aliases=["l40s-8x"]))
        with temporary_file(whole) as path:
            entries = json.loads(self.ok("--list", "servers", "--servers-file", path, "--json"))
            self.assertEqual([entry["name"] for entry in entries],
                             [entry["name"] for entry in whole["servers"]])
            self.assertEqual([entry["name"] for entry in entries if entry.get("overrides")],
                             ["dgx300", "outra"])
            self.assertEqual(self.sized(server="L40S 8x", servers_file=path)["server"]["name"],
                             "outra")
        with temporary_file({"models": [dict(listed("models", "opt-oss-20b"), name="meu",
                                             aliases=["gpt-oss-120b"], hf_id="eu/meu")]}) as path:
            for name, found in (("gpt-oss-120b", "meu"), ("opt-oss-120b", "opt-oss-120b"),
                                ("openai/gpt-oss-120b", "opt-oss-120b"), ("eu/meu", "meu")):
                self.assertEqual(self.sized(model=name, models_file=path)["model"]["name"], found)
        with temporary_file({"profiles": [{"name": "x"}]}) as path:
            self.refused(flags(dict(BASE, storage_file=path)), path, "profiles[0]", "falta")


# ── Interface ─────────────────────────────────────────────────────────────────────────────────


class Interface(Case):
    """Saídas, fluxos, diretórios, codificações e pipes"""

    def test_processo(self):
        """Um processo diz o mesmo que `main` neste, e uma execução não muda a seguinte"""
        lines = ([*flags(BASE), "--ha=n+1"], [*flags(BASE), "--csv"],
                 [*flags(BASE), "--runtime-overhead-gib=5000"], ["--list", "storage"],
                 [*flags(BASE), "--model=ção"], ["--validate", "--json", "--models-file=" + SCRIPT])
        lines = lines[::rounds(1, 2)]
        alone = [process(*line) for line in lines]
        for _ in range(2):
            for line, expected in zip(lines, alone):
                done = in_this_process(line)
                self.assertEqual((done.returncode, done.stdout, done.stderr),
                                 (expected.returncode, expected.stdout, expected.stderr))
        self.assertEqual([done.returncode for done in alone], [0, 0, 3, 0, 2, 2][::rounds(1, 2)])

    def test_relatorio(self):
        """O relatório de texto da pergunta básica, letra por letra"""
        self.assertEqual(self.ok(*flags(BASE), "--ha=n+1"), """\
COMPRE 3 × DGX B300  (2 atendem o pico + 1 de reserva)    45 kW · 30 U · 1 rack
opt-oss-120b, pesos mxfp4, KV fp8 · 1000 sessões, pico de 20% = 1200
Pedido: 131072 tokens: 130048 novos (ou 1024, resto em cache), 1024 gerados ·
  vLLM 0.33, tp 8

Previsto                      3 nós, 1000        2 nós, 1000   2 nós, pico 1200
tokens/s, novo             4.98 (3.9-6.1)     3.34 (2.6-4.1)     2.79 (2.2-3.4)
1º token (s), novo                   fila               fila               fila
tokens/s por nó, novo       1.65k (1.3-2)      1.67k (1.3-2)      1.67k (1.3-2)
tokens/s, cache              37.1 (29-45)       25.9 (20-32)         22 (17-27)
1º token (s), cache      0.07 (0.05-0.19)   0.09 (0.07-0.23)   0.10 (0.08-0.26)
tokens/s por nó, cache     12.4k (9.4-15)       13k (9.8-15)      13.2k (10-16)

Sessões/nó  613, limite: plano, 70% da HBM - 120 GiB (motor ~809; log 648x)
KV          2.2522 GiB por sessão, 2.1994 TiB ao todo; orçamento 1.3496 TiB/nó
Nós         capacidade pura 2 → com pico 2 → com N+1 3; storage profile_default
HBM por nó  2142 GiB: ▓ pesos 69 ▒ motor 34 █ KV 1381 ░ livre 444 . fora 214
Se 1 cair   334 interrompidas, 0 recusadas; 2 nós: 1226 vagas; volta em ~112 s
Mudaria     KV fp16: 5 nós · GB200 NVL72: 2 · contexto 65536: 2
! slow_decode: prompt novo, 2 nós, no pico: 2.79 tokens/s, abaixo de 10
! heavy_prefill: prompt novo, 2 nós, no pico: 88% em prefill; a fila não se
  prevê acima de 116 sessões por réplica: use --max-ttft-ms ou --input-tokens
! tight_capacity: no pico sobram 26 vagas, 4.2% do último nó (abaixo de 10%)
Previsão; fora do medido: contexto acima de 32768. Contas: --explain
""")

    def test_linhas_do_relatorio(self):
        """Os nós sem pico e com ele, a média com o prefixo comum, o PUE só com o preço do kWh"""
        few = self.ok(*flags(dict(BASE, concurrency=600)))
        self.assertIn("capacidade pura 1 → com pico 2", few)
        mixed = {"model": "opt-oss-120b", "server": "dgx300", "concurrency": 100,
                 "context_mix": "8k:70%,128k:30%", "shared_prefix_tokens": "4k"}
        results = json.loads(self.ok(*flags(mixed), "--json"))["results"]
        self.assertIn("%s em média" % sizing.size_text(
            results["kv_own_mean_bytes"] + results["shared_prefix_bytes"]),
            self.ok(*flags(mixed)))
        for price, shown in ((None, False), (1, True)):
            energy = {"energy_price": price, "years": 3} if price else {}
            self.assertEqual("PUE" in self.ok(*flags(dict(BASE, node_price=9, **energy))), shown)

    def test_falhas_no_relatorio(self):
        """A linha da falha: sem nó, só o nominal coberto, nem o nominal, dois nós"""
        rows = (({"concurrency": 100}, "Se 1 cair o serviço para: 100 interrompidas; volta"),
                ({"concurrency": 613, "peak_headroom_ratio": 1},
                 "Se 1 cair 307 interrompidas, 0 recusadas (613 no pico); 1 nó: 613 vagas"),
                ({}, "500 interrompidas, 387 recusadas (587 no pico); 1 nó: 613 vagas"),
                ({"ha": "n+2"}, "Se 2 caem 250 interrompidas, 0 recusadas; 2 nós: 1226 vagas"),
                ({"concurrency": None, "requests_per_second": 30, "ha": "n+1"}, "pico coberto; "))
        for changes, words in rows:
            with self.subTest(changes):
                asked = {name: value for name, value in dict(BASE, **changes).items() if value}
                self.assertIn(words, " ".join(self.ok(*flags(asked)).split()))

    def test_uma_tela(self):
        """Uma pergunta comum cabe num terminal de 24 linhas, com todos os avisos dela"""
        for changes in ({}, {"ha": "n+1"}, {"disaggregated": "yes"}, {"concurrency": 3},
                        {"max_tpot_ms": 60, "ha": "n+2"}, {"nodes": 3},
                        {"years": 3, "node_price": 400000, "energy_price": 0.2, "ha": "n+1"},
                        {"model": "kimi-k2", "server": "dgx-h100", "concurrency": 100}):
            text = self.ok(*flags(dict(BASE, **changes)))
            lines = 24 + bool({"disaggregated", "years"} & set(changes))
            self.assertLessEqual(len(text.splitlines()), lines, text)
            for warning in self.sized(**changes)["warnings"]:
                if not warning.startswith("objective_at_risk"):
                    self.assertIn("! " + warning, " ".join(text.split()))

    def test_muitos_avisos(self):
        """Nenhum aviso se esconde: todos, por extenso, depois das 22 linhas da primeira tela"""
        changes = {"storage": "profile_cloud_premium", "kv_precision": "fp16",
                   "kv_budget_ratio": 0.9, "effective_context": "1m", "concurrency": 10}
        text, warnings = self.ok(*flags(dict(BASE, **changes))), self.sized(**changes)["warnings"]
        self.assertEqual(len(warnings), 6)
        self.assertEqual(text.count("\n! "), 6)
        self.assertIn("! " + " ! ".join(warnings) + " Previsão", " ".join(text.split()))
        self.screen(text)

    def test_colunas(self):
        """80 colunas, com a manchete, mesmo com números de 28 dígitos e nomes de 80 letras"""
        document = catalogue("models")
        document["models"][0]["name"] = "x" * 80
        with temporary_file(document) as path:
            text = self.ok(*flags(dict(BASE, model="x" * 80, concurrency=10**27, models_file=path,
                                       storage="profile_cloud_premium", kv_precision="fp16",
                                       effective_context="1m", kv_budget_ratio=1)))
        self.assertRegex("".join(self.screen(text, 36)).replace(" ", ""),
                         "^COMPRE[0-9]{24,}×DGXB300.*" + "x" * 80 + ",pesosmxfp4")
        for args in (["--help"], ["--list", "models"], ["--list", "servers"],
                     ["--list", "storage"]):
            self.assertLessEqual(max(map(len, self.ok(*args).splitlines())), 80, args)

    def test_json(self):
        """--json e --json-only: um documento, nada mais, com as chaves combinadas"""
        text = self.ok(*flags(BASE), "--json")
        self.assertEqual(text, self.ok(*flags(BASE), "--json-only"))
        self.assertEqual(text, self.ok(*flags(BASE), "--json", "--json-only"))
        document = json.loads(text)
        self.assertEqual(" ".join(document), "schema_version question model server storage "
                         "parameters results engine performance objectives storage_plan ha_plan "
                         "physical warnings")
        self.assertEqual(document["schema_version"], 1)
        keys = {
            "model": "name num_layers num_key_value_heads head_dim max_position_embeddings "
                     "attention_pattern hybrid_full_layers hybrid_sliding_layers sliding_window "
                     "default_kv_precision kv_groups notes source aliases params_total "
                     "params_active weights_gib",
            "server": "name gpus hbm_per_gpu_gb total_hbm_gb total_hbm_gib nvlink_bandwidth_tbps "
                      "system_memory_tb",
            "storage": "name type iops_read iops_write throughput_read_gbps throughput_write_gbps "
                       "latency_read_ms_p50 latency_write_ms_p50 latency_read_ms_p99 "
                       "latency_write_ms_p99",
            "results": "kv_per_session_gib kv_per_session_bytes kv_total_tib kv_budget_gib "
                       "sessions_per_node sessions_per_unit nodes_minimum nodes_with_headroom "
                       "nodes_final limited_by",
            "engine": "engine tensor_parallel replicas_per_node nodes_per_replica layout "
                      "hbm_usable_gib_per_gpu weights_gib_per_gpu runtime_gib_per_gpu "
                      "kv_capacity_gib_per_gpu kv_capacity_tokens_per_replica sessions_per_replica "
                      "sessions_per_node kv_per_session_upper_bytes",
        }
        for block, names in keys.items():
            self.assertLessEqual(set(names.split()), set(document[block]), block)
        self.assertEqual(document["results"]["limited_by"], "plan")
        self.assertEqual(document["server"]["nvlink_bandwidth_tbps"], 14.4)

    def test_catalogo_exato_no_json(self):
        """O que o catálogo diz é o que o JSON mostra"""
        document = self.sized()
        for block, kind, root in (("model", "models", "models"), ("server", "servers", "servers"),
                                  ("storage", "storage", "profiles")):
            entry = catalogue(kind)[root][0]
            self.assertEqual({key: document[block][key] for key in entry}, entry)

    def test_listas(self):
        """--list mostra nomes e apelidos; com --json, as entradas"""
        for kind, names in (("models", ("opt-oss-120b", "gpt-oss-20b")),
                            ("servers", ("dgx300", "dgx-h200", "DGX B300")),
                            ("storage", ("profile_default", "profile_cloud_premium"))):
            text = self.ok("--list", kind)
            for name in names:
                self.assertIn(name, text)
            entries = json.loads(self.ok("--list", kind, "--json"))
            self.assertEqual([entry["name"] for entry in entries],
                             [entry["name"] for entry in catalogue(kind)[ROOTS[kind]]])
            columns = set(csv_rows(self.ok("--list", kind, "--csv"))[0])
            self.assertLessEqual(columns, set(entries[0]))
            self.assertFalse(columns & {"notes", "source", "kv_groups"})
        models = csv_rows(self.ok("--list", "models", "--csv"))
        self.assertEqual({row["multimodal"] for row in models}, {"true", "false"})

    def test_validate(self):
        """--validate aprova os catálogos do repositório, e cada entrada tem notas e fonte"""
        self.assertEqual(self.ok("--validate"), "".join(
            "%s.json: ok, %d entradas\n" % (kind, len(catalogue(kind)[root]))
            for kind, root in ROOTS.items()))
        self.assertEqual(json.loads(self.ok("--validate", "--json"))["problems"], [])

    def test_ajuda_e_versao(self):
        """--help traz todas as flags e três exemplos que funcionam; --version, a versão"""
        text = self.ok("--help")
        self.assertEqual(text, self.ok("-h"))
        shown = set(re.findall(r"--[a-z][a-z0-9-]+", text))
        self.assertGreater(len(shown), 30)
        for flag in shown - {"--help"}:  # o programa conhece cada uma
            self.assertNotIn("desconhecido", run(flag).stderr)
        examples = re.findall(r"^  python3 sizing\.py ((?:.*\\\n)*.*)$", text, re.M)
        self.assertEqual(len(examples), 3)
        for example in examples:
            self.ok(*example.replace("\\\n", " ").split())
        self.assertEqual(self.ok("--version"), "sizing.py 1.0\n")
        self.refused(["--version", "--concurrency=5"], "--concurrency", "--version")
        self.assertEqual(json.loads(self.ok("--version", "--json")), {"version": "1.0"})

    def test_outro_diretorio(self):
        """Funciona de qualquer diretório e por um link simbólico"""
        expected = self.ok(*flags(BASE))
        self.assertEqual(self.ok(*flags(BASE), cwd=os.path.sep), expected)
        if hasattr(os, "symlink"):
            with tempfile.TemporaryDirectory() as folder:
                link = os.path.join(folder, "dimensiona")
                os.symlink(SCRIPT, link)
                done = subprocess.run([sys.executable, link, *flags(BASE)], cwd=folder,
                                      stdout=subprocess.PIPE, env=utf8_environment())
            self.assertEqual(done.stdout.decode("utf-8"), expected)

    def test_modulo(self):
        """`python3 -m sizing`, de onde o módulo se ache, é o mesmo que o script"""
        def both(*args):
            script = run(*args)
            module = subprocess.run(
                [sys.executable, "-m", "sizing", *args], cwd=folder, capture_output=True,
                encoding="utf-8", env=utf8_environment(PYTHONPATH=ROOT))
            self.assertEqual((module.returncode, module.stdout, module.stderr),
                             (script.returncode, script.stdout, script.stderr))
            return script.returncode

        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(both(*flags(BASE)), 0)
            self.assertEqual(both(*flags(dict(BASE, max_tpot_ms=1))), 3)
            self.assertEqual(both(*flags(dict(BASE, models_file="falta.json"))), 2)

    @unittest.skipIf(os.name == "nt", "resource")
    def test_memoria_de_comparacoes(self):
        """JSON e CSV saem linha por linha: dez vezes mais linhas não pedem mais memória"""
        script = ("import resource, subprocess, sys; subprocess.run([sys.executable] + sys.argv[1:]"
                  ", stdout=subprocess.DEVNULL, check=True); "
                  "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")

        def peak_kib(rows, *form):
            counts = ",".join(map(str, range(1, rows + 1)))
            done = subprocess.run(
                [sys.executable, "-c", script, SCRIPT, *flags(dict(BASE, concurrency=counts)),
                 *form], capture_output=True, env=utf8_environment(), check=True)
            return int(done.stdout)

        for form in (["--json"], ["--csv", "--sort=tpot_ms"]):
            few, many = peak_kib(100, *form), peak_kib(1000, *form)
            self.assertLess(many - few, 2048, form)  # 2 KiB por linha; um documento tem 9

    def test_ascii(self):
        """Num terminal ASCII o relatório perde acentos e blocos, não números; o JSON, nada"""
        environment = utf8_environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0",
                                       PYTHONIOENCODING="ascii")
        text = self.ok(*flags(BASE), env=environment)
        self.assertTrue(text.isascii())
        self.assertTrue(text.startswith("COMPRE 2 x DGX B300  (2 atendem o pico, sem reserva)"))
        self.assertIn("% pesos 69 = motor 34 # KV 1381 - livre 444 . fora 214", text)
        for args in (["--list", "models"], ["--help"])[:rounds(2, 1)]:
            self.assertTrue(self.ok(*args, env=environment).isascii())
        document = self.ok(*flags(BASE), "--json", env=environment)
        self.assertTrue(document.isascii())
        self.assertEqual(json.loads(document), self.sized())
        line = self.refused([*flags(BASE), "--model=çã"], "--model", env=environment)
        self.assertTrue(line.isascii())
        latin = subprocess.run([sys.executable, SCRIPT, *flags(BASE)], stdout=subprocess.PIPE,
                               env=utf8_environment(PYTHONIOENCODING="latin-1")).stdout
        self.assertIn("COMPRE 2 × DGX B300".encode("latin-1"), latin)
        self.assertIn("1000 sessões".encode("latin-1"), latin)

    @unittest.skipUnless(os.path.exists("/dev/full") and os.path.exists("/bin/sh"), "só em Linux")
    def test_fluxos(self):
        """Pipe fechado é silencioso; disco cheio ou saída fechada, uma linha e status 1"""
        line = " ".join([sys.executable, SCRIPT, *flags(BASE)])
        environment = {k: v for k, v in utf8_environment().items() if k != "PYTHONUNBUFFERED"}

        def shell(command):
            done = subprocess.run(command, shell=True, capture_output=True, encoding="utf-8",
                                  env=environment, timeout=60)
            return done.returncode, done.stdout, done.stderr

        for form in ("", " --json")[rounds(0, 1):]:
            self.assertEqual(shell("(sleep .2; %s%s) | true" % (line, form))[2], "")
        self.assertEqual(len(shell(line + " | head -1")[1].splitlines()), 1)
        bare = " ".join([sys.executable, SCRIPT])
        for start, closed, words in ((0, "> /dev/full", "não há espaço no disco"),
                                     (1, ">&-", "fechada")):
            for command in (line, bare + " --version", line + " --json", bare + " --help",
                            bare + " --list models")[rounds(0, start)::rounds(1, 5)]:
                status, _, errors = shell(command + " " + closed)
                with self.subTest(command=command, closed=closed):
                    self.assertEqual((status, len(errors.splitlines())), (1, 1), errors)
                    self.assertIn(words, errors)
        self.assertEqual(shell(line + " --ha=x 2>&-")[:2], (2, ""))
        self.assertEqual(shell(line + " --ha=x 2>/dev/full")[:2], (2, ""))

    @unittest.skipUnless(hasattr(os, "openpty"), "só em POSIX")
    def test_andamento(self):
        """Num terminal, uma comparação longa diz quantas linhas já fez; fora dele, nada"""
        for count, shown in ((250, b""), (251, b"\r250 de 251\r251 de 251\r\n")):
            question = flags(dict(BASE, concurrency=",".join(map(str, range(1, count + 1)))))
            terminal, errors = os.openpty()
            subprocess.run([sys.executable, SCRIPT, *question], stdout=subprocess.DEVNULL,
                           stderr=errors, check=True, env=utf8_environment())
            os.write(errors, b".")
            os.close(errors)
            seen = b""
            while not seen.endswith(b"."):
                seen += os.read(terminal, 1000)
            os.close(terminal)
            self.assertEqual(seen, shown + b".")
        self.ok(*question)
        terminal, both = os.openpty()  # o CSV no mesmo terminal não se mistura com o andamento
        done = subprocess.Popen([sys.executable, SCRIPT, *question, "--csv"], stdout=both,
                                stderr=both, env=utf8_environment())
        os.close(both)
        seen = b""
        with contextlib.suppress(OSError):  # o terminal fecha com o programa
            while True:
                seen += os.read(terminal, 65536)
        os.close(terminal)
        self.assertEqual(done.wait(), 0)
        self.assertNotIn(b"250 de 251", seen)
        self.assertEqual(seen.count(b"\n"), 252)

    @unittest.skipUnless(hasattr(os, "mkfifo"), "só em POSIX")
    def test_ctrl_c(self):
        """Ctrl-C, lendo um catálogo ou no meio de uma conta longa: status 130, já e em silêncio"""
        with open(os.path.join(ROOT, "models.json"), "rb") as file:
            models = file.read()
        question = ["--model=all", "--server=all", "--json", "--kv-precision=fp8,fp16,bf16,int8",
                    "--concurrency=1,2,3,4,5"]
        for content in (b"", models):
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "fila")
                os.mkfifo(path)
                done = subprocess.Popen(
                    [sys.executable, SCRIPT, *question, "--models-file", path],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=utf8_environment(),
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
                self.addCleanup(done.kill)
                with open(path, "wb") as queue:  # espera o programa abrir o arquivo
                    queue.write(content)
                    if not content:
                        done.send_signal(signal.SIGINT)
                        done.wait(10)
                if content:
                    time.sleep(0.4)
                    self.assertIsNone(done.poll())
                    done.send_signal(signal.SIGINT)
                before = time.monotonic()
                _, errors = done.communicate(timeout=10)
                self.assertEqual((done.returncode, errors), (130, b""))
                self.assertLess(time.monotonic() - before, 3)
        alone = {name: value for name, value in utf8_environment().items()
                 if not name.startswith("COVERAGE")}  # que importa antes
        for module in (b"gettext", b"decimal"):  # ainda nos imports
            done = subprocess.Popen(
                [sys.executable, "-X", "importtime", SCRIPT, *question],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=alone,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            self.addCleanup(done.kill)
            for line in done.stderr:
                if line.split()[-1] == module:
                    done.send_signal(signal.SIGINT)
                    break
            _, errors = done.communicate(timeout=10)
            self.assertEqual((done.returncode, b"Traceback" in errors), (130, False), errors)

    def test_sem_avisos_do_python(self):
        """Nada é dito sob -W error, -X dev, -I -S e -O"""
        for options in rounds((["-W", "error"], ["-X", "dev"], ["-I", "-S"], ["-OO"]),
                              (["-W", "error", "-X", "dev", "-I", "-S"], ["-OO"])):
            done = subprocess.run([sys.executable, *options, SCRIPT, *flags(BASE)],
                                  capture_output=True, env=utf8_environment())
            self.assertEqual((done.returncode, done.stderr), (0, b""), options)


# ── Documentos ────────────────────────────────────────────────────────────────────────────────


def console_blocks(text):
    """(início, fim, comando, saída) de cada comando dos blocos ```console de um documento."""
    for block in re.finditer(r"^```console\n(.*?)^```$", text, re.M | re.S):
        for match in re.finditer(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block[1], re.M):
            start = block.start(1) + match.start(2)
            yield start, start + len(match[2]), match[1], match[2]


@functools.lru_cache(maxsize=None)
def shell_output(command):
    """O que um comando mostra no terminal, rodado na raiz com este mesmo Python.

    O começo de um comando que é uma só execução, sem nada que o shell interprete, roda neste
    processo, e o que vem depois do pipe recebe a saída dela; com --subprocess, tudo é do shell.
    """
    simple = re.fullmatch(r"python3 sizing\.py ([\w\s.,/+@%:-]*)(?:\| (.*))?",
                          command.replace("\\\n", " "), re.S)
    if SUBPROCESS or not simple:
        return shell(command)
    done = in_this_process(simple[1].split())
    return done.stderr + (shell(simple[2], input=done.stdout) if simple[2] else done.stdout)


def shell(command, **options):
    """O que o bash mostra."""
    prelude = 'python3() { "%s" "$@"; }\n' % sys.executable
    done = subprocess.run(["bash", "-c", prelude + command], cwd=ROOT, env=utf8_environment(),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                          timeout=60, **options)
    return done.stdout


def update_documents():
    """Reescreve nos documentos as saídas dos comandos mostrados."""
    for name in DOCUMENTS:
        path, text = os.path.join(ROOT, name), text_of(name)
        for start, end, command, _ in reversed(list(console_blocks(text))):
            text = text[:start] + shell_output(command) + text[end:]
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


class Documentos(Case):
    """O que os documentos mostram é o que os comandos dizem"""

    def shows(self, document, shown, expected):
        """O documento mostra o esperado; senão, só as diferenças."""
        if shown != expected:
            self.fail("\n" + "".join(difflib.unified_diff(
                shown.splitlines(True), expected.splitlines(True), document, "esperado", n=1)))

    def test_doctests(self):
        """Os exemplos das docstrings"""
        for limit, most in itertools.product(range(20), repeat=2):
            self.assertEqual(sizing.largest(limit, most.__ge__), min(limit, most))
        failed, tried = doctest.testmod(sizing)
        self.assertEqual(failed, 0)
        self.assertGreaterEqual(tried, 6)

    def test_comandos(self):
        """Cada comando de README, QUICKREF e USE_CASES dá a saída mostrada"""
        for name, least in zip(DOCUMENTS, (5, 3, 8)):
            blocks = list(console_blocks(text_of(name)))
            self.assertGreaterEqual(len(blocks), least, name)
            for _, _, command, shown in blocks:
                with self.subTest(document=name, command=command):
                    self.shows(name, shown, shell_output(command))

    def test_faixa_sem_medidas(self):
        """A faixa do TPOT de vários nós é a do código onde quer que se diga"""
        said = {limits for name in DOCUMENTS for limits in re.findall(
            r"faixa do TPOT vai de × ([\d.]+) a ([\d.]+)", " ".join(text_of(name).split()))}
        self.assertEqual({tuple(map(float, limits)) for limits in said},
                         {sizing.TPOT_UNMEASURED_RANGE})

    def test_tabelas_de_erro(self):
        """As tabelas de erro do README, da memória e da velocidade, refeitas"""
        for table in (error_table(), speed_table(), speed_family_table()):
            head = table.splitlines()[0]
            shown = re.search(re.escape(head) + r"\n(\|.*\n)*", text_of("README.md"))
            self.shows("README.md", shown[0] if shown else "", table + "\n")

    def test_casos_de_uso(self):
        """Os cinco casos de uso dão 1, 4, 12, 1 e 3 nós"""
        text = text_of("USE_CASES.md")
        sections = re.split(r"^## ", text, flags=re.M)[1:]
        nodes = [int(re.search(r"^COMPRE (\d+) × ", section, re.M)[1]) for section in sections[:5]]
        self.assertEqual(nodes, [1, 4, 12, 1, 3])

    def test_flags_documentadas(self):
        """O README explica cada flag, com o valor e o padrão da ajuda, e cada aviso"""
        text, shown = text_of("README.md"), self.ok("--help")
        table = re.findall(r"^\| `(--[a-z-]+)(?: (\S+))?` \| (.*?) \|", text, re.M)
        helped = re.findall(r"^  (--[a-z-]+)(?:, -[-a-z]+)?(?: ([A-Z]\S*))?(?:  |$)", shown, re.M)
        self.assertEqual({(flag, value) for flag, value, _ in table}, set(helped))
        defaults = {flag: default for flag, _, default in table}
        for block in re.split(r"\n  (?=--)", shown)[1:]:
            stated = re.search(r"\(padrão: ([a-z0-9.%_+]+)\)", block)
            if stated:  # os que são um valor, não uma frase
                self.assertIn(stated[1], defaults[block.split()[0].rstrip(",")])
        section = re.search(r"^### Avisos\n(.*?)^## ", text, re.M | re.S)[1]
        rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section, re.M)
        self.assertEqual(re.findall(r"`(\w+)`", " ".join(rows)), list(WARNINGS))

    def test_chaves_documentadas(self):
        """O README traz cada bloco do JSON, e só nomes que o programa escreve; em até 449 linhas"""
        text, source = text_of("README.md"), text_of("sizing.py")
        section = re.search(r"^## JSON\n(.*?)^### ", text, re.M | re.S)[1]
        told = set(re.findall(r"`(\w+)`", section))
        document = self.sized("--explain", "--node-price=1", "--max-tpot-ms=500", ha="n+1")
        self.assertEqual(set(document) - {"schema_version"} - told, set())
        self.assertEqual([name for name in told if '"%s"' % name not in source
                          and '"%s": ' % name not in json.dumps(document)], [])
        self.assertLess(len(text.splitlines()), 450)

    @unittest.skipIf(os.name == "nt", "bash")
    def test_exemplos(self):
        """examples.sh roda até o fim, e falha se um exemplo falha

        No dia a dia o bash só escreve os comandos, e eles rodam neste processo.
        """
        path = os.path.join(ROOT, "examples.sh")
        done = subprocess.run(["bash", path], stdin=subprocess.DEVNULL, capture_output=True,
                              encoding="utf-8", cwd=os.path.sep,
                              env=utf8_environment(PYTHON=rounds(sys.executable, "echo")),
                              timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len(re.findall(r"^── \d", done.stdout, re.M)), 10)
        if not SUBPROCESS:
            told = re.findall(r"^\$ python3 (sizing\.py .*)\n\n(.*)$", done.stdout, re.M)
            self.assertEqual(len(told), 10)
            for shown, executed in told:
                self.assertEqual(shown, executed)
                self.assertTrue(self.ok(*executed.split()[1:]))
        self.assertTrue(os.access(path, os.X_OK))
        broken = subprocess.run(["bash", path], capture_output=True,
                                env=utf8_environment(PYTHON="false"), timeout=120)
        self.assertNotEqual(broken.returncode, 0)

    def test_raiz(self):
        """Na raiz, só os dez arquivos combinados e os achados, com o seu README de duas linhas"""
        visible = {name for name in os.listdir(ROOT) if not name.startswith((".", "__pycache__"))}
        self.assertEqual(visible, {"sizing.py", "models.json", "servers.json", "storage.json",
                                   "test_sizing.py", "examples.sh", "README.md", "QUICKREF.md",
                                   "USE_CASES.md", "requirements.txt", "findings"})
        self.assertEqual(len(text_of(os.path.join("findings", "README.md")).splitlines()), 2)


# ── Ataque: perguntas, catálogos e config.json ao acaso ───────────────────────────────────────

JUNK = ("", " ", "0", "-1", "1e99", "nan", "abc", "1,2", "é", "\x00", "--", "9" * 31, "0.5", "all",
        "١٢", "1_0", "128k", "none,", "%", "null", "{}", "fp8,fp16", "'", "\u202e", "1e-30")
JUNK_VALUES = (None, True, 0, -1, 1, 2**70, 0.5, -0.25, "", "abc", "\x00", [], {}, [1], {"a": 1},
               [None], [{}], float("1e300"), "full", "nvfp4", 10**8, [{"kind": "full"}],
               [{"kind": "mla", "layers": 3, "kv_lora_rank": 8, "qk_rope_head_dim": 8}])


def random_flags(generator):
    """Uma linha de comando ao acaso: quase sempre bem formada, às vezes com lixo."""
    pick = generator.choice
    argv = ["--model=" + pick(FUZZ_MODELS), "--server=" + pick(FUZZ_SERVERS)]
    options = {
        "concurrency": ("1", "7", "1000", "10,500", "1e6", "1e30", "250k"),
        "effective-context": ("1", "2", "64", "8k", "128k", "1m", "4k,32k", "200000"),
        "kv-precision": ("fp8", "fp16", "bf16", "int8", "nvfp4", "fp8,fp16"),
        "kv-budget-ratio": ("0.01", "0.5", "70%", "1"), "ha": ("none", "n+1", "n+2", "none,n+2"),
        "runtime-overhead-gib": ("0.5", "60", "900"), "peak-headroom-ratio": ("0", "0.3", "900%"),
        "gpu-memory-utilization": ("0.05", "0.5", "1"), "tensor-parallel": ("1", "2", "8", "auto"),
        "pipeline-parallel": ("1", "2", "3", "auto"), "max-num-seqs": ("1", "64", "5000"),
        "max-num-batched-tokens": ("1", "4k", "1m"), "speculative-tokens": ("0", "3"),
        "acceptance-length": ("1", "2.5", "9"),
        "weights-precision": ("fp8", "bf16", "nvfp4", "int4"), "nodes": ("1", "2", "9", "1e9"),
        "input-tokens": ("1", "1024", "100k"), "output-tokens": ("1", "300", "64k"),
        "max-tpot-ms": ("1", "30", "1e4"), "max-ttft-ms": ("90", "900", "1e7"),
        "max-ttft-p95-ms": ("90", "2000"),
        "requests-per-second": ("0.01", "9", "1e6"), "calibrate-tpot-ms": ("30@8", "5@1", "1@1e9"),
        "storage": FUZZ_STORAGE,
        "pue": ("1", "1.7"), "node-price": ("1", "5e5", "1e30"), "energy-price": ("0.1",),
        "years": ("0.5", "5"), "sort": ("tpot_ms", "nodes", "power_kw")}
    for name in generator.sample(sorted(options), generator.randint(0, 7)):
        value = pick(options[name]) if generator.random() < 0.93 else pick(JUNK)
        argv.append("--%s=%s" % (name, value))
    if generator.random() < 0.5 and not any("=1e30" in word for word in argv):
        argv.append(pick(("--json", "--csv", "--explain", "--scenarios")))
    return argv


FUZZ_MODELS = ("opt-oss-120b", "kimi-k2", "deepseek-v3.2", "deepseek-v4", "llama-3.1-8b",
               "qwen3-next-80b", "gemma-3-27b", "kimi-k2.5,phi-4", "nemotron-3-nano", "glm-4.5")
FUZZ_SERVERS = ("dgx300", "dgx200", "dgx-spark", "dgx-h100", "gb200-nvl72", "l40s-8x,dgx-a100",
                "h100-nvl-8x", "rtx-pro-6000-8x")
FUZZ_STORAGE = ("profile_network_ssd", "aws_ebs_gp3", "gcp_hyperdisk_ml", "profile_default")


# O que se recusa ou avisa, com números ao acaso (`{}`), para digitar de volta o que se sugere.
SUGGESTING = """
max_tpot_ms={0.5:3} | max_ttft_ms={1:400} | min_tokens_per_second={700:9000}
max_ttft_p95_ms={1:400} | max_tpot_ms={0.5:3} max_ttft_ms={1:300} confidence=90%
runtime_overhead_gib={1500:2000} kv_budget_ratio={0.5:1} | kv_budget_ratio={0.0001:0.06}
nodes=2 concurrency=900 max_ttft_ms={600:900} | nodes=1 concurrency=40000
pipeline_parallel=7 | disaggregated=yes max_ttft_ms={1:90} | max_num_seqs=20000
kv_precision=nvfp4 server=dgx200 | calibrate_tpot_ms=30@90000 | model=kimi-k2 server=dgx-h100
speculative_tokens=2 acceptance_length=9 model=deepseek-r1 | tensor_parallel=3
concurrency=1 max_tpot_ms={9:30} gpu_memory_utilization=0.8765432
gpu_memory_utilization=0.99999 max_num_seqs=77 | kv_budget_ratio=0.7500001 max_ttft_ms={700:9000}
model=kimi-k2.6 server=rtx-pro-6000-8x effective_context=8000 concurrency=5000
"""
OBJECTIVES = {"TPOT": "max_tpot_ms", "TTFT": "max_ttft_ms", "P95 do TTFT": "max_ttft_p95_ms"}


def suggesting(generator):
    """As perguntas de `SUGGESTING`, com três casas onde a flag as leria como milhar ou não."""
    def drawn(match):
        low, high = map(float, match.groups())
        return "%.4f" % math.exp(generator.uniform(math.log(low), math.log(high)))

    for text in re.sub(r"\{([0-9.]+):([0-9.]+)\}", drawn, SUGGESTING).replace("\n", "|").split("|"):
        if text.strip():
            yield dict(BASE, **dict(word.split("=", 1) for word in text.split()))


def suggested_in(line):
    """[(o que uma recusa sugere mudar, os status em que vale)]."""
    found = [({"nodes": count}, (0,)) for count in re.findall(r"carga pede (\d+) nó", line)]
    for ways in re.findall("cabe com (.*?)(?:; |$)", line):
        for way in ways.split(" ou "):
            words = way.split()
            found.append((dict(zip([word[2:].replace("-", "_") for word in words[::2]],
                                   words[1::2])), (0,)))
    found += [({"server": names.split(", ")[-1]}, (0,))
              for names in re.findall("cabe em: (.*)$", line)]
    for asked, best in re.findall(
            r": ([^:]*?)(?:, juntos,)? fora do alcance: o melhor é (.*?) \(", line):
        limits = {}
        for name, value in zip(asked.split(" e "), best.split(" e ")):
            known = re.match(r"(.*) de [0-9.]+ ms$", name)
            limits[OBJECTIVES[known[1]] if known else "min_tokens_per_second"] = value.split()[0]
        found.append((limits, (0, 3) if "nodes" in line else (0,)))
    flag = (re.match("sizing.py: --([a-z-]+)", line) or ["", ""])[1].replace("-", "_")
    for values in re.findall("(?:espera-se um destes[^:]*:|com KV em) (.*)|espera-se "
                             "(?:até|de 1 a) ([0-9]+)", line):
        values = "".join(values)
        found += [({flag: value}, (0, 3)) for value in values.split(", ")]
    return found


class Ataque(Case):
    """Milhares de casos ao acaso: nunca um traceback, nunca um status errado"""

    def test_sugestoes(self):
        """O que uma recusa ou um aviso sugere se digita de volta, e vale"""
        seen = collections.Counter()
        questions = itertools.chain.from_iterable(
            map(suggesting, map(random.Random, range(rounds(8, 1)))))
        for asked in itertools.islice(questions, 0, None, rounds(1, 2)):
            done = run(*flags(asked))
            for changes, statuses in suggested_in(done.stderr):
                if "calibrate_tpot_ms" in changes:
                    changes = {"calibrate_tpot_ms": "30@" + changes["calibrate_tpot_ms"]}
                again = run(*flags(dict(asked, **changes)))
                with self.subTest(asked, changes=changes, refused=done.stderr, again=again.stderr):
                    seen.update(list(changes))
                    self.assertIn(again.returncode, statuses)
            if done.returncode == 0:
                self.check_report(asked, " ".join(done.stdout.split()), seen)
        self.assertGreater(len(seen), 9, seen)

    def check_report(self, asked, text, seen):
        """O que o relatório diz que uma flag daria, e a linha do motor digitada de volta."""
        nodes = int(re.match(r"COMPRE (\d+)", text)[1])
        for flag, value, change in (("ha", "n+1", r"--ha n\+1 acrescenta (\d+) nó"),
                                    ("confidence", "90%", r"--confidence 90%: (\d+) ×")):
            for count in re.findall(change, text):
                then = self.sized(**dict(asked, **{flag: value}))["results"]["nodes_final"]
                self.assertEqual(then, int(count) + (nodes if flag == "ha" else 0), text)
                seen[flag] += 1
        explained = json.loads(self.ok(*flags(asked), "--json", "--explain"))
        words = " ".join(explained["explanation"]["launch"]).replace("\\", "").split()
        typed = {flag: words[words.index("--" + engine) + 1] for flag, engine in (
            ("gpu_memory_utilization", "gpu-memory-utilization"),
            ("max_num_seqs", "max-num-seqs"), ("effective_context", "max-model-len"),
            ("max_num_batched_tokens", "max-num-batched-tokens"),
            ("tensor_parallel", "tensor-parallel-size"))}
        self.assertEqual(Fraction(typed["gpu_memory_utilization"]),
                         Fraction(asked.get("gpu_memory_utilization", "0.9")))
        again = self.sized(**dict(asked, **typed))["results"]
        self.assertEqual([again[name] for name in ("sessions_per_unit", "nodes_final")],
                         [explained["results"][name] for name in ("sessions_per_unit",
                                                                  "nodes_final")], typed)
        seen["motor"] += 1

    def test_perguntas(self):
        """Linhas de comando: status 0, 2 ou 3, texto em 80 colunas, JSON e CSV bem formados"""
        generator, seen = random.Random(2026), collections.Counter()
        used = {"models": FUZZ_MODELS, "servers": FUZZ_SERVERS, "storage": FUZZ_STORAGE}
        small = contextlib.ExitStack()  # só as entradas citadas: ler as outras não diz nada
        files = ["--%s-file=%s" % (kind, small.enter_context(temporary_file({ROOTS[kind]: [
            listed(kind, name) for name in ",".join(names).split(",")]})))
            for kind, names in used.items()]
        self.addCleanup(small.close)
        for number in range(rounds(1100, 130)):
            argv = random_flags(generator) + files
            with self.subTest(argv=argv):
                done = in_this_process(argv)
                text, status = done.stdout, done.returncode
                seen[status] += 1
                self.assertIn(status, (0, 2, 3))
                self.assertEqual(bool(text), status == 0)
                self.assertEqual(len(done.stderr.splitlines()), int(status > 0), done.stderr)
                self.assertTrue(done.stderr[:-1].isprintable())
                # um processo diz o mesmo; o sistema não lhe passa um byte nulo
                if number % rounds(20, 90) == 0 and "\x00" not in "".join(argv):
                    other = process(*argv)
                    self.assertEqual((other.returncode, other.stdout, other.stderr),
                                     (status, text, done.stderr))
                if status:
                    continue
                if "--json" in argv:
                    document = json.loads(text, parse_constant=self.fail)
                    for part in document if isinstance(document, list) else [document]:
                        self.codes({"warnings": [], **part})
                elif "--csv" in argv:
                    self.assertEqual(len({len(row) for row in csv.reader(io.StringIO(text))}), 1)
                elif "|" not in text:
                    self.assertLessEqual(max(map(len, text.splitlines())), 80)
                    plain = not any("1e30" in word or "1e9" in word for word in argv)
                    if plain and "--explain" not in argv:
                        self.screen(text, 32)
        self.assertTrue(all(seen[status] > rounds(100, 10) for status in (0, 2, 3)), seen)

    def test_lado_certo(self):
        """O número que passa de um limite nunca se escreve igual a ele, nem do outro lado"""
        self.assertIn("! high_budget_ratio: 75.00001% da HBM para KV, acima de 75%:", self.ok(
            *flags(dict(BASE, kv_budget_ratio="0.7500001"))))
        hbm = "--gpu-memory-utilization=99.9999999%"
        self.assertIn("99.9999999% da HBM", self.ok(*flags(BASE), hbm))
        self.assertIn("--gpu-memory-utilization 0.999999999 ", self.ok(
            *flags(BASE), hbm, "--explain"))
        # uma sessão que pede um byte a mais do que o orçamento dá
        asked = asking("opt-oss-120b", "dgx300", runtime_overhead_gib=0, context=131072)
        total = asked.server.total_hbm_gb * 10**9
        short = changed(asked, kv_budget_ratio=Fraction(session_bytes(
            asked.model, 131072, "fp8") - 1, total))
        self.assertIn("pede 2.25219727 GiB de KV e o orçamento de 1 nó é de "
                      "2.25219726 GiB (faltam 1 B)", str(sizing.explained(
                          sizing.NothingFits(short, "plan", offers=answer(asked).internal.offers))))
        # 10 tokens/s, e um pouco menos
        base = dict(BASE, model="llama-3.1-8b", server="dgx200", concurrency=10,
                    effective_context=32768)
        for tpot_ms, expected in ((100, ""), ("100.0010", "9.9999 tokens/s, abaixo de 10")):
            text = self.ok(*flags(dict(base, calibrate_tpot_ms="%s@10" % tpot_ms, ha="n+1",
                                       peak_headroom_ratio=0, input_tokens=1)))
            self.assertEqual(text.count("slow_decode"), int(bool(expected)), text)
            self.assertIn(expected, text)

    def test_sem_expoente(self):
        """Números enormes e ínfimos por extenso, em 80 colunas, em todo texto"""
        rows = (
            (["--concurrency=1e30", "--years=3", "--node-price=1e29"], "000 racks"),
            (["--concurrency=1e13", "--explain"], "--explain"),
            (["--concurrency=1e13", "--scenarios"], "nominal >999999"),
            (["--concurrency=9", "--pue=1", "--years=1", "--energy-price=1e-20"], "kWh a 0.0000"),
            (["--concurrency=9", "--calibrate-tpot-ms=1e30@9"], "1e30@9"),
            (["--requests-per-second=1e-25"], "1e-25"))
        for args, name in rows:
            with self.subTest(name):
                done = run("--model=opt-oss-120b", "--server=dgx300", *args)
                self.assertNotRegex(done.stdout + done.stderr, r"[0-9]e[+-]?[0-9]")
                for line in done.stdout.splitlines():
                    self.assertLessEqual(len(line), 80, line)
                if name == "000 racks":  # um número não se parte em duas linhas
                    self.assertRegex(done.stdout, " [0-9]{27} racks")
                elif name.startswith(("kWh", "nominal")):
                    self.assertIn(name, done.stdout)

    def test_catalogos(self):
        """Catálogos com um campo trocado: aceitos e respondidos, ou recusados com o lugar"""
        generator, seen = random.Random(7), collections.Counter()
        originals = {kind: list(map(json.dumps, catalogue(kind)[ROOTS[kind]])) for kind in ROOTS}
        for _ in range(rounds(2500, 600)):
            kind = generator.choice(("models", "models", "servers", "storage"))
            entry = json.loads(generator.choice(originals[kind]))
            name, _, _ = generator.choice([*catalogue_fields(kind), ("novo", "", "")])
            entry[name] = generator.choice(JUNK_VALUES)
            if generator.random() < 0.2:
                entry.pop(generator.choice(sorted(entry)))
            data = json.dumps({ROOTS[kind]: [entry]}).encode()
            if generator.random() < 0.1:
                place = generator.randrange(len(data))
                data = data[:place] + bytes([generator.randrange(256)]) + data[place + 1:]
            found, problems = loaded(kind, data)
            for problem in problems:
                self.assertTrue(problem.startswith("arquivo.json"), problem)
                self.assertTrue(problem.isprintable(), problem)
            seen[bool(problems)] += 1
            if problems:
                continue
            chosen = {"models": "opt-oss-120b", "servers": "dgx300", kind: found[0]}
            asked = asking(chosen["models"], chosen["servers"], 10, 4096)
            if kind == "storage":
                asked = changed(asked, storage=found[0])
            try:
                result = answer(asked)
                report_of(result)
                json.dumps(document_of(result))
                explanation_of(result)
            except SizingError as error:
                self.assertIn(error.status, (2, 3))
                self.assertTrue(str(error).isprintable())
        self.assertTrue(all(count > rounds(200, 50) for count in seen.values()), seen)

    def test_configs(self):
        """config.json com um campo trocado: uma entrada válida, ou a recusa de uma linha"""
        generator, seen = random.Random(9), collections.Counter()
        texts = [json.dumps(config) for config in CONFIGS.values()]
        for _ in range(rounds(10000, 500)):
            config = json.loads(generator.choice(texts))
            place = config
            while True:
                key = generator.choice([*place, "sliding_window", "num_local_experts",
                                        "kv_lora_rank", "quantization_config", "layer_types",
                                        "attn_novo"])
                inner = place.get(key)
                if not isinstance(inner, dict) or not inner or generator.random() < 0.3:
                    break
                place = inner
            if generator.random() < 0.2:
                place.pop(key, None)
            else:
                place[key] = generator.choice((*JUNK_VALUES, 3, 10**9, 1.5, float("inf")))
            try:
                entry = entry_from_config(config)
            except SizingError as error:
                seen["recusado"] += 1
                line = str(error)
                self.assertTrue(line.startswith("config.json") and line.isprintable(), line)
                self.assertEqual(error.status, 2)
                continue
            found, problems = loaded("models", json.dumps({"models": [entry]}).encode())
            seen["inválido" if problems else "aceito"] += 1
            self.assertEqual(bool(found), not problems)
        self.assertTrue(all(seen[name] > rounds(200, 100) for name in ("aceito", "recusado")), seen)


# ── Relatório dos testes ──────────────────────────────────────────────────────────────────────


class Report(unittest.TestResult):
    """Mostra cada teste, a taxa de sucesso de cada classe e os detalhes das falhas."""

    def __init__(self):
        super().__init__()
        self.rows = []  # (classe, título, situação)
        self.details = []

    def stopTest(self, test):
        """Anota a situação do teste que terminou; um subteste que falha reprova o teste."""
        super().stopTest(test)
        problems = [text for case, text in self.failures + self.errors
                    if case is test or getattr(case, "test_case", None) is test]
        skipped = [reason for case, reason in self.skipped if case is test]
        state = "FALHOU" if problems else "pulado" if skipped else "ok"
        group, title = type(test).__doc__, test.shortDescription() or str(test)
        if not self.rows or self.rows[-1][0] != group:
            self.close_group()
            print("\n%s" % group)
        print("  %-6s  %s" % (state, title), flush=True)
        self.rows.append((group, title, state))
        self.details += [(title, text) for text in problems]

    def addSubTest(self, test, subtest, error):
        """Guarda a falha com a descrição do subteste."""
        super().addSubTest(test, subtest, error)
        if error:
            kept = self.failures if issubclass(error[0], test.failureException) else self.errors
            kept[-1] = (subtest, "%s\n%s" % (subtest, kept[-1][1]))

    def close_group(self):
        """Escreve a taxa de sucesso da classe que terminou."""
        states = [state for group, _, state in self.rows if group == self.rows[-1][0]]
        good = sum(state != "FALHOU" for state in states)
        if states:
            print("  Taxa de sucesso: %.1f%% (%d/%d)" % (100 * good / len(states), good,
                                                         len(states)))


def chosen(argv):
    """Os testes das palavras da linha de comando; todos, se não há nenhuma."""
    words = [word.lower() for word in argv if not word.startswith("--")]
    for cls in Case.__subclasses__():
        for name in unittest.defaultTestLoader.getTestCaseNames(cls):
            full = "%s.%s" % (cls.__name__, name)
            if not words or any(word in (full if "." in word else cls.__name__).lower()
                                for word in words):
                yield cls(name)


def main(argv):
    """Roda os testes escolhidos e devolve o status: 1 se algum falha, 2 se não há nenhum."""
    global SUBPROCESS
    if argv == ["--atualizar-docs"]:
        update_documents()
        return 0
    SUBPROCESS = "--subprocess" in argv
    sizing.load_catalogue = rounds(LOAD_CATALOGUE, load_once)
    suite = unittest.TestSuite(chosen(argv))
    if not suite.countTestCases():
        print("nenhum teste com estas palavras")
        return 2
    gc.freeze()  # sem isto, procurar lixo entre os catálogos custaria um décimo do tempo
    gc.set_threshold(50000)
    print("Testes de sizing.py (Python %s)" % sys.version.split()[0])
    report = Report()
    report.failfast = "--parar" in argv
    suite.run(report)
    report.close_group()
    for title, text in report.details:
        print("\n%s\n%s\n%s" % ("─" * 80, title, text))
    # Sem stopTest (falha de preparação), um erro ainda reprova.
    failed = max(sum(state == "FALHOU" for _, _, state in report.rows),
                 int(bool(report.failures or report.errors)))
    passed = sum(state == "ok" for _, _, state in report.rows)
    total = len(report.rows)
    print("\nTaxa de sucesso: %.1f%% (%d/%d)" % (100 * (total - failed) / max(total, 1),
                                                 total - failed, total))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
    sys.exit(main(sys.argv[1:]))
