#!/usr/bin/env python3
"""Quebra o sizing.py de pequenas maneiras e exige que os testes reprovem cada uma.

Cada mutante é (lugar, texto, troca, testes). O lugar é uma função, `Classe.método`, uma classe ou
uma constante do módulo; o texto, o menor trecho que só aparece uma vez nele; os testes, as palavras
de `test_sizing.py`. Um lugar perdido é acusado antes de rodar. Os testes rodam no próprio processo.
Termina com status 1 se algum sobrevive. `python3 .ci/mutantes.py palavra` roda só os que contêm a
palavra, e `--lugares` só confere os lugares.
"""
import ast
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MUTANTS = (
    # Unidades e constantes
    ("GB", "10**9, 2**30", "2**30, 2**30", "Valores"),
    ("TIB", "2**30, 2**40", "2**30, 10**12", "Valores"),
    ("WEIGHT_BITS", '"bf16": (16, 16)', '"bf16": (8, 16)', "TetoFisico.test_precisao_dos_pesos"),
    ("WEIGHT_BITS", "Fraction(33, 8), 16", "Fraction(33, 8), 8",
     "TetoFisico.test_precisao_dos_pesos"),
    ("KV_PRECISIONS", '"bf16": 2', '"bf16": 1', "Valores Propriedades Avisos"),
    ("HA_SPARES", '"n+2": 2', '"n+2": 1', "Valores"),
    ("DEFAULT_OVERHEAD_GIB_PER_GPU", "15", "16", "Cenarios"),
    ("DEFAULT_PUE", "13", "12", "StorageECusto"),
    ("LOADER_GBPS", "3", "4", "StorageECusto"),
    ("HOURS_PER_YEAR", "8760", "8766", "StorageECusto"),
    ("RACK_KW", "45", "40", "StorageECusto.test_racks"),
    ("RACK_UNITS", "42", "48", "StorageECusto.test_racks"),
    ("KV_MBU", "0.79", "0.80", "Velocidade"),
    ("PAGE_TOKENS", "16", "32", "TetoFisico"),
    ("MAX_NODES_PER_REPLICA", "8", "7", "TetoFisico Velocidade"),
    ("QUEUE_RATIO", "0.70", "0.90", "Velocidade"),
    ("UNITS", "1000", "1024", "FlagsRuins Valores"),
    ("TOKENS", "1024,", "1000,", "FlagsRuins"),
    ("USUAL_CONTEXTS", "range(2, 11)", "range(2, 10)", "Invertida.test_por_contexto"),
    ("IDEAL_KV_BUDGET_RATIO", "65", "70", "Explicacao"),
    # Números
    ("ceil_div", "-(-numerator // denominator)", "numerator // denominator + 1",
     "Valores Propriedades"),
    ("largest", "middle - 1", "middle - 2", "Invertida Velocidade"),
    ("range_text", ">= 999.5 ", ">= 1000 ", "Velocidade.test_milhares"),
    ("range_text", ">= 999500", ">= 10**6", "Velocidade.test_milhares"),
    # Cache e catálogos
    ("Group.session_bytes", "min(context, self.cap_tokens or context)",
     "(self.cap_tokens or context)", "Cenarios"),
    ("heads_shape", "(k_dim + v_dim)", "2 * v_dim", "TetoFisico HuggingFace"),
    ("SHAPES", '"elements_per_token": kv_lora_rank', '"elements_per_token": 2 * kv_lora_rank',
     "TetoFisico"),
    ("Model.inconsistencies", "layers != self.num_layers", "layers > self.num_layers",
     "CatalogosRuins"),
    ("Server.inconsistencies", "self.total_hbm_gb != total", "self.total_hbm_gb > total",
     "CatalogosRuins"),
    ("COUNT", "type(v) is int", "isinstance(v, int)", "CatalogosRuins"),
    ("load_catalogue", "if path in first and path[:-1] not in repeated:", "if False:",
     "CatalogosRuins"),
    # config.json
    ("hf_bits", "2 * len(cited) > len(c.kinds)", "2 * len(cited) >= len(c.kinds)",
     "HuggingFace.test_quantizacao"),
    ("hf_bits", "2 * len(cited)", "len(cited)", "HuggingFace.test_quantizacao"),
    ("hf_mtp", '("dup" in c.traits)', "1", "HuggingFace.test_mtp"),
    ("hf_mtp", '("dup" in c.traits)', "0", "HuggingFace.test_mtp"),
    ("hf_mtp", "layer_bytes + copies", "layer_bytes", "HuggingFace.test_mtp"),
    ("model_from_hf_config", "* 10 > checkpoint", "* 5 > checkpoint", "HuggingFace"),
    # A pergunta
    ("Question.effective_context", "min(self.requested_context or limit, limit)",
     "self.requested_context or limit", "Cenarios"),
    ("Question.request_fits", "> 1", "> 2", "Velocidade.test_um_token"),
    ("Question.request_fits", "> 1", "> 0", "Velocidade.test_um_token"),
    # Teto físico
    ("weights_per_gpu", '["dense_bytes"] - repeated', '["dense_bytes"]', "TetoFisico"),
    ("fit_layout", "min(tp, g.shards)", "tp", "TetoFisico"),
    ("fit_layout", "if sessions > default:", "if False:", "TetoFisico.test_amostrador"),
    ("fit_layout", "        runtime = runtime_per_gpu(q, tp, dp, sessions)", "        pass",
     "TetoFisico.test_amostrador"),
    ("layouts_of", "0 in (g.shards % tp, tp % g.shards)", "g.shards % tp == 0", "TetoFisico"),
    ("layouts_of", " and model.num_experts", "", "TetoFisico.test_atencao_em_data_parallel"),
    ("layouts_of", " and gpus > 1", "", "TetoFisico.test_atencao_em_data_parallel"),
    ("layouts_of", "model.latent and ", "", "TetoFisico.test_atencao_em_data_parallel"),
    ("layouts_of", "asked in (None, 1)", "asked is None",
     "TetoFisico.test_atencao_em_data_parallel"),
    # Velocidade
    ("Speed.loaded", "(sessions - 1)", "sessions", "Velocidade"),
    ("speed_of", "* (gpus - 1)", "* gpus", "Velocidade"),
    ("Speed.missed", "self.tpot_ms(sessions) > q.max_tpot_ms",
     "self.tpot_ms(sessions) >= q.max_tpot_ms", "Velocidade"),
    ("extrapolations", "layout.gpus > 8", "layout.gpus > 9", "Velocidade.test_extrapolacao"),
    ("extrapolations", "layout.gpus > 8", "layout.gpus >= 8", "Velocidade.test_extrapolacao"),
    ("calibrated", "plain.speed.tpot_ms(sessions)", "plain.speed.tpot_ms(1)",
     "Velocidade.test_calibracao_sem_carga"),
    # Nós, falhas e taxas
    ("Offer.load", "1 + largest(most - 1", "largest(most", "Velocidade.test_sessoes_de_uma_taxa"),
    ("Offer.load", "(1 + headroom)", "1", "Velocidade.test_sessoes_de_uma_taxa"),
    ("Offer.load", "float(rate / replicas)", "float(rate)", "Velocidade.test_sessoes_de_uma_taxa"),
    ("Offer.holds", " - q.spares", "", "Invertida"),
    ("Offer.holds", "(1 + q.peak_headroom_ratio)", "1", "Invertida"),
    ("Offer.bought", "self.unit * q.spares", "q.spares", "Invertida TetoFisico"),
    ("SizingResult.ha_plan", "idle + units - self.nodes_with_headroom",
     "units - self.nodes_with_headroom", "Invertida"),
    ("SizingResult.ha_plan", "idle + units - self.nodes_minimum", "units - self.nodes_minimum",
     "Invertida"),
    ("SizingResult.ha_plan", ">= self.nodes_with_headroom", "> self.nodes_with_headroom",
     "Valores"),
    ("SizingResult.ha_plan", "ceil_div(self.concurrency, units)", "self.concurrency // units",
     "Valores"),
    ("longest_context", "longest(inside + 1, limit) or longest(first, inside) or first",
     "longest(first, limit) or first", "Invertida"),
    ("size", ' if asks == "load" else q.nodes // unit * unit', "", "Invertida"),
    ("by_context", "<= q.model.max", "< q.model.max", "Invertida.test_por_contexto"),
    # Storage, energia e custo
    ("storage_plan_of", "path / at_once if shared else path", "path / at_once", "StorageECusto"),
    ("storage_plan_of", "load_seconds(offer.unit)", "load_seconds(1)", "StorageECusto"),
    ("storage_plan_of", "restore < alone", "restore > alone", "StorageECusto"),
    ("physical_of", "min(RACK_UNITS // units, int(RACK_KW // kw))", "RACK_UNITS // units",
     "StorageECusto.test_racks"),
    ("physical_of", "min(RACK_UNITS // units, int(RACK_KW // kw))", "int(RACK_KW // kw)",
     "StorageECusto.test_racks"),
    ("physical_of", "nodes * heat", "heat", "StorageECusto"),
    ("costs_of", "12 * sessions", "12", "StorageECusto"),
    # Recusas e avisos
    ("ways_out", "if q.calibration:", "if False:", "Velocidade.test_recusa_calibrada"),
    ("warnings_of", 'yield ("context_clamped', 'str("context_clamped', "Cenarios"),
    ("warnings_of", 'yield "single_node', 'str() and "single_node', "Avisos"),
    ("warnings_of", "r.nodes_final == unit", "r.nodes_final == 1", "Avisos.test_uma_unidade_so"),
    ("warnings_of", "r.nodes_final == unit", "r.nodes_final >= unit",
     "Avisos.test_uma_unidade_so"),
    ("warnings_of", 'yield "idle_nodes', 'str() and "idle_nodes', "Invertida"),
    ("warnings_of", "spare < TIGHT", "spare <= TIGHT", "Avisos"),
    ("warnings_of", "> HIGH_KV_BUDGET_RATIO", ">= HIGH_KV_BUDGET_RATIO", "Avisos"),
    ("warnings_of", 'yield "%s_storage', 'str() and "%s_storage', "Cenarios"),
    ("warnings_of", 'yield "kv_16bit', 'str() and "kv_16bit', "Avisos"),
    ("speed_warnings", "rate < SLOW", "rate > SLOW", "Velocidade"),
    ("ceiling_warnings", "idle > IDLE", "idle < IDLE", "Avisos"),
    ("ceiling_warnings", 'yield ("weights_exceed_reserve', 'str("weights_exceed_reserve', "Avisos"),
    # Explicação, comparações e linha de comando
    ("alternatives", ", tensor_parallel=None", "", "Explicacao.test_o_que_mudaria"),
    ("on_server", ", calibration=None, tpot_scale=1.0", "", "Explicacao.test_o_que_mudaria"),
    ("scenarios_of", 'ha_mode="n+1"', 'ha_mode="n+2"', "Explicacao"),
    ("launch_lines", "ceil_div(r.offer.sessions,", "ceil_div(layout.sessions_per_unit,",
     "Explicacao"),
    ("best_rows", ", q.ha_mode", "", "Documentos Comparacoes"),
    ("SORTS", "-(r.offer", "(r.offer", "Comparacoes"),
    ("sized", "len(errors) == len(rows)", "errors", "Comparacoes"),
    ("flat", "json.dumps(value) if isinstance(value, bool) else value", "value", "Comparacoes"),
    ("NUMBERS", "0 < v <= 1,", "0 < v <= 2,", "FlagsRuins"),
    ("NUMBERS", "1 <= v <= 10,", "0 < v <= 10,", "StorageECusto"),
    ("main", "return error.status", "return 1", "FlagsRuins"),
    ("main", "return 130", "return 1", "Interface.test_ctrl_c"),
    ("main", "KeyboardInterrupt", "ZeroDivisionError", "Interface.test_ctrl_c"),
)


def places(source):
    """{nome: (início, fim)} de cada função, método, classe e constante do módulo."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = {}

    def visit(nodes, prefix):
        for node in nodes:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(
                node, "target", None)]
            names = [node.name] if hasattr(node, "name") else [
                name.id for target in targets if target is not None
                for name in ast.walk(target) if isinstance(name, ast.Name)]
            for name in names:
                found.setdefault(prefix + name, []).append(
                    (starts[node.lineno - 1] + node.col_offset,
                     starts[node.end_lineno - 1] + node.end_col_offset))
            if isinstance(node, ast.ClassDef):
                visit(node.body, prefix + node.name + ".")

    visit(ast.parse(source).body, "")
    return {name: spans[0] for name, spans in found.items() if len(spans) == 1}


def mutated(source, mutant, known):
    """O texto com o mutante; None se o lugar não existe ou o texto não é único nele."""
    place, text, change, _ = mutant
    if place not in known:
        return None
    data, (start, end) = source.encode(), known[place]
    body = data[start:end]
    if body.count(text.encode()) != 1:
        return None
    return data[:start] + body.replace(text.encode(), change.encode()) + data[end:]


def survives(mutant, content):
    """Os testes aprovam o mutante?"""
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "repo")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", "venv", "__pycache__"))
        with open(os.path.join(copy, "sizing.py"), "wb") as file:
            file.write(content)
        try:
            done = subprocess.run(
                [sys.executable, "test_sizing.py", "--parar", *mutant[3].split()], cwd=copy,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
        except subprocess.TimeoutExpired:  # um laço sem fim também é reprovado
            return False
    if done.returncode == 2:
        raise SystemExit("mutante sem testes: %s: %r (%s)" % (mutant[0], mutant[1], mutant[3]))
    return done.returncode == 0


def main(argv):
    """Roda os mutantes, um em cada CPU, e lista os que sobrevivem."""
    with open(os.path.join(ROOT, "sizing.py"), encoding="utf-8") as file:
        source = file.read()
    known = places(source)
    contents = {mutant: mutated(source, mutant, known) for mutant in MUTANTS}
    lost = [mutant[:2] for mutant, content in contents.items() if content is None]
    if lost:
        raise SystemExit("\n".join(["mutantes sem lugar:", *map("%s: %r".__mod__, lost)]))
    words = [word for word in argv if word != "--lugares"]
    chosen = [] if "--lugares" in argv else [
        mutant for mutant in MUTANTS
        if not words or any(word in " ".join(mutant) for word in words)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        lives = list(pool.map(lambda mutant: survives(mutant, contents[mutant]), chosen))
    alive = [mutant for mutant, live in zip(chosen, lives) if live]
    for mutant in alive:
        print("sobrevive: %s: %r → %r (%s)" % mutant)
    print("%d mutantes, %d sobrevivem" % (len(chosen), len(alive)))
    return 1 if alive or not (chosen or "--lugares" in argv) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
