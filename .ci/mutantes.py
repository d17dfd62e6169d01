#!/usr/bin/env python3
"""Quebra o sizing.py de pequenas maneiras e exige que os testes reprovem cada uma.

Cada mutante é (texto, troca, classes de teste); o texto tem de existir. Termina com status 1 se
algum sobrevive. `python3 .ci/mutantes.py palavra` roda só os que contêm a palavra.
"""
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MUTANTS = (
    # Unidades e constantes.
    ("GB = 10**9", "GB = 2**30", "Valores"),
    ("GIB = 2**30", "GIB = 10**9", "Valores"),
    ('"fp16": 2, "bf16": 2', '"fp16": 2, "bf16": 1', "Valores Propriedades"),
    ('"n+1": 1, "n+2": 2', '"n+1": 1, "n+2": 1', "Valores"),
    ("DEFAULT_OVERHEAD_GIB_PER_GPU = 15", "DEFAULT_OVERHEAD_GIB_PER_GPU = 16", "Cenarios"),
    ("DEFAULT_PUE = Fraction(13, 10)", "DEFAULT_PUE = Fraction(12, 10)", "StorageECusto"),
    ("LOADER_GBPS = 3", "LOADER_GBPS = 4", "StorageECusto"),
    ("HOURS_PER_YEAR = 8760", "HOURS_PER_YEAR = 8766", "StorageECusto"),
    ("RACK_UNITS, RACK_KW = 42, 45", "RACK_UNITS, RACK_KW = 42, 40", "StorageECusto"),
    ("KV_MBU = 0.79", "KV_MBU = 0.80", "Velocidade"),
    ("PAGE_TOKENS = 16", "PAGE_TOKENS = 32", "TetoFisico"),
    ("MAX_NODES_PER_REPLICA = 8", "MAX_NODES_PER_REPLICA = 7", "TetoFisico Velocidade"),
    ("QUEUE_RATIO = 0.70", "QUEUE_RATIO = 0.90", "Velocidade"),
    ('UNITS = {"k": 1000,', 'UNITS = {"k": 1024,', "FlagsRuins Valores"),
    ('TOKENS = {"k": 1024,', 'TOKENS = {"k": 1000,', "FlagsRuins"),
    # Exatidão e bordas.
    ("return -floor_div(-numerator, denominator)", "return floor_div(numerator, denominator) + 1",
     "Valores Propriedades"),
    ("limit = middle - 1", "limit = middle - 2", "Invertida Velocidade"),
    ("held = context_tokens if self.cap_tokens is None else min(context_tokens, self.cap_tokens)",
     "held = context_tokens if self.cap_tokens is None else self.cap_tokens", "Cenarios"),
    ("elements_per_token=kv_heads * (k_dim + v_dim)", "elements_per_token=kv_heads * 2 * v_dim",
     "TetoFisico HuggingFace"),
    ("elements_per_token=kv_lora_rank + qk_rope_head_dim",
     "elements_per_token=2 * kv_lora_rank + qk_rope_head_dim", "TetoFisico"),
    ("if spare < TIGHT_LAST_NODE_RATIO", "if spare <= TIGHT_LAST_NODE_RATIO", "Avisos"),
    ("if q.kv_budget_ratio > HIGH_KV_BUDGET_RATIO", "if q.kv_budget_ratio >= HIGH_KV_BUDGET_RATIO",
     "Avisos"),
    ("if idle > IDLE_CEILING_RATIO", "if idle < IDLE_CEILING_RATIO", "Avisos"),
    ("if rate < SLOW_TOKENS_PER_SECOND", "if rate > SLOW_TOKENS_PER_SECOND", "Velocidade"),
    ("self.tpot_ms(sessions) > q.max_tpot_ms", "self.tpot_ms(sessions) >= q.max_tpot_ms",
     "Velocidade"),
    # Nós, falhas e a pergunta invertida.
    ("units = (q.nodes or 0) // self.unit - HA_SPARES[q.ha_mode]", "units = (q.nodes or 0) // "
     "self.unit", "Invertida"),
    ("return max(0, floor_div(units * self.sessions, 1 + q.peak_headroom_ratio))",
     "return max(0, floor_div(units * self.sessions, 1))", "Invertida"),
    ("return self.nodes(q, q.peak_headroom_ratio) + self.unit * HA_SPARES[q.ha_mode]",
     "return self.nodes(q, q.peak_headroom_ratio) + HA_SPARES[q.ha_mode]", "Invertida TetoFisico"),
    ("return max(0, idle + units - needed_nodes // self.nodes_per_unit)",
     "return max(0, units - needed_nodes // self.nodes_per_unit)", "Invertida"),
    ("return at(longest(inside + 1, limit) or longest(first, inside) or first)",
     "return at(longest(first, limit) or first)", "Invertida"),
    ("        final = q.nodes if asks == \"load\" else q.nodes // unit * unit",
     "        final = q.nodes", "Invertida"),
    ("return self.nodes_after_failure >= self.nodes_with_headroom",
     "return self.nodes_after_failure > self.nodes_with_headroom", "Valores"),
    ("return ceil_div(self.concurrency, self.nodes_final // self.nodes_per_unit)",
     "return self.concurrency // (self.nodes_final // self.nodes_per_unit)", "Valores"),
    # Pesos, leiautes e velocidade.
    ("return (ceil_div(parts[\"dense_bytes\"] - replicated, tp)", "return (ceil_div("
     "parts[\"dense_bytes\"], tp)", "TetoFisico"),
    ("and all(group.shards % tp == 0 or tp % group.shards == 0 for group in groups)]",
     "and all(group.shards % tp == 0 for group in groups)]", "TetoFisico"),
    ("min(tp, group.shards)) for group in q.model.layer_groups)", "tp) for group in "
     "q.model.layer_groups)", "TetoFisico"),
    ("self.prefill_seconds * (sessions - 1) / self.output", "self.prefill_seconds * sessions / "
     "self.output", "Velocidade"),
    ("(gpus - 1) / gpus / link if gpus > 1 else 0.0", "gpus / gpus / link if gpus > 1 else 0.0",
     "Velocidade"),
    ("return min(self.requested_context or limit, limit)", "return self.requested_context or "
     "limit", "Cenarios"),
    # Storage, energia e custo.
    ("share = path / at_once if storage.shared else path", "share = path / at_once",
     "StorageECusto"),
    ("\"node_recovery_seconds\": load_seconds(offer.unit)", "\"node_recovery_seconds\": "
     "load_seconds(1)", "StorageECusto"),
    ("\"restore\" if restore < recompute else \"recompute\"",
     "\"restore\" if restore > recompute else \"recompute\"", "StorageECusto"),
    ("monthly = Fraction(total) / (q.years * 12 * sessions)",
     "monthly = Fraction(total) / (q.years * 12)", "StorageECusto"),
    ("\"heat_btu_h\": server.heat_btu_h and nodes * server.heat_btu_h",
     "\"heat_btu_h\": server.heat_btu_h", "StorageECusto"),
    # Avisos que somem.
    ('yield ("context_clamped', 'str("context_clamped', "Cenarios"),
    ('yield ("single_node', 'str("single_node', "Avisos"),
    ('yield ("kv_16bit', 'str("kv_16bit', "Avisos"),
    ('yield ("idle_nodes', 'str("idle_nodes', "Invertida"),
    ('yield "%s_storage', 'str() and "%s_storage', "Cenarios"),
    ('yield ("weights_exceed_reserve', 'str("weights_exceed_reserve', "Avisos"),
    # Catálogos, config.json e flags.
    ("if total != self.num_layers:", "if total > self.num_layers:", "CatalogosRuins"),
    ("if self.total_hbm_gb != self.gpus * self.hbm_per_gpu_gb:",
     "if self.total_hbm_gb > self.gpus * self.hbm_per_gpu_gb:", "CatalogosRuins"),
    ("type(v) is int and v > 0, \"um inteiro positivo\"", "isinstance(v, int) and v > 0, "
     "\"um inteiro positivo\"", "CatalogosRuins"),
    ("elif path in seen:", "elif False:", "CatalogosRuins"),
    ("abs(index_bytes - checkpoint) * 10 > checkpoint", "abs(index_bytes - checkpoint) * 5 > "
     "checkpoint", "HuggingFace"),
    ("\"RAZÃO\": (RATIO, False, lambda v: 0 < v <= 1", "\"RAZÃO\": (RATIO, False, lambda v: 0 < v "
     "<= 2", "FlagsRuins"),
    ("\"PUE\": (UNITS, False, lambda v: 1 <= v <= 10", "\"PUE\": (UNITS, False, lambda v: 0 < v "
     "<= 10", "StorageECusto"),
    ("return error.status", "return 1", "FlagsRuins"),
    # Comparações e visões.
    ("if len(errors) == len(rows):", "if errors:", "Comparacoes"),
    ("groups.setdefault((q.concurrency, q.requested_context, q.ha_mode), [])",
     "groups.setdefault((q.concurrency, q.requested_context), [])", "Documentos"),
    ("\"sessions_per_node\": (\"mais sessões por nó\", lambda r: -r.sessions_per_node)",
     "\"sessions_per_node\": (\"mais sessões por nó\", lambda r: r.sessions_per_node)",
     "Comparacoes"),
    ("row[columns[name]] = json.dumps(value) if isinstance(value, bool) else value",
     "row[columns[name]] = value", "Comparacoes"),
    ("IDEAL_HEADROOM_RATIO, IDEAL_KV_BUDGET_RATIO = Fraction(30, 100), Fraction(65, 100)",
     "IDEAL_HEADROOM_RATIO, IDEAL_KV_BUDGET_RATIO = Fraction(30, 100), Fraction(70, 100)",
     "Explicacao"),
    ("yield q.under(ha_mode=\"n+1\"), \"recomendado\"", "yield q.under(ha_mode=\"n+2\"), "
     "\"recomendado\"", "Explicacao"),
    ("\"--max-num-seqs %d\" % ceil_div(result.sessions_per_unit,", "\"--max-num-seqs %d\" % "
     "ceil_div(layout.sessions_per_unit,", "Explicacao"),
)


def survives(mutant):
    """Os testes aprovam o mutante?"""
    text, change, classes = mutant
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "repo")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", "venv", "__pycache__"))
        path = os.path.join(copy, "sizing.py")
        with open(path, encoding="utf-8") as file:
            source = file.read()
        if text not in source:
            raise SystemExit("mutante sem lugar: %r" % text)
        with open(path, "w", encoding="utf-8") as file:
            file.write(source.replace(text, change))
        done = subprocess.run([sys.executable, "test_sizing.py", "--parar", *classes.split()],
                              cwd=copy, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


def main():
    """Roda os mutantes, dois de cada vez, e lista os que sobrevivem."""
    chosen = [mutant for mutant in MUTANTS
              if not sys.argv[1:] or any(word in " ".join(mutant) for word in sys.argv[1:])]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        alive = [mutant for mutant, lives in zip(chosen, pool.map(survives, chosen)) if lives]
    for text, change, classes in alive:
        print("sobrevive (%s): %r → %r" % (classes, text, change))
    print("%d mutantes, %d sobrevivem" % (len(chosen), len(alive)))
    return 1 if alive or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
