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
    ("GB, GIB, TIB = 10**9, 2**30", "GB, GIB, TIB = 2**30, 2**30", "Valores"),
    ("GB, GIB, TIB = 10**9, 2**30", "GB, GIB, TIB = 10**9, 10**9", "Valores"),
    ('"fp16": 2, "bf16": 2', '"fp16": 2, "bf16": 1', "Valores Propriedades"),
    ('"n+1": 1, "n+2": 2', '"n+1": 1, "n+2": 1', "Valores"),
    ("DEFAULT_OVERHEAD_GIB_PER_GPU = 15", "DEFAULT_OVERHEAD_GIB_PER_GPU = 16", "Cenarios"),
    ("DEFAULT_PUE = Fraction(13, 10)", "DEFAULT_PUE = Fraction(12, 10)", "StorageECusto"),
    ("LOADER_GBPS = 3", "LOADER_GBPS = 4", "StorageECusto"),
    ("HOURS_PER_YEAR = 8760", "HOURS_PER_YEAR = 8766", "StorageECusto"),
    ("RACK_UNITS, RACK_KW = 42, 45", "RACK_UNITS, RACK_KW = 42, 40", "StorageECusto"),
    ("KV_MBU = 0.90, 0.70, 0.79", "KV_MBU = 0.90, 0.70, 0.80", "Velocidade"),
    ("PAGE_TOKENS = 16", "PAGE_TOKENS = 32", "TetoFisico"),
    ("MAX_NODES_PER_REPLICA = 8", "MAX_NODES_PER_REPLICA = 7", "TetoFisico Velocidade"),
    ("QUEUE_RATIO = 0.70", "QUEUE_RATIO = 0.90", "Velocidade"),
    ('UNITS = {"k": 1000,', 'UNITS = {"k": 1024,', "FlagsRuins Valores"),
    ('TOKENS = {"k": 1024,', 'TOKENS = {"k": 1000,', "FlagsRuins"),
    ("return -(-numerator // denominator)",
     "return numerator // denominator + 1", "Valores Propriedades"),
    ("else (low, middle - 1)", "else (low, middle - 2)", "Invertida Velocidade"),
    ("held = min(context, self.cap_tokens or context) // self.stride",
     "held = (self.cap_tokens or context) // self.stride", "Cenarios"),
    ('"elements_per_token": kv_heads * (k_dim + v_dim)',
     '"elements_per_token": kv_heads * 2 * v_dim', "TetoFisico HuggingFace"),
    ('"elements_per_token": kv_lora_rank + qk_rope_head_dim',
     '"elements_per_token": 2 * kv_lora_rank + qk_rope_head_dim', "TetoFisico"),
    ("if spare < TIGHT_LAST_NODE_RATIO *", "if spare <= TIGHT_LAST_NODE_RATIO *", "Avisos"),
    ("if q.kv_budget_ratio > HIGH_KV_BUDGET_RATIO",
     "if q.kv_budget_ratio >= HIGH_KV_BUDGET_RATIO", "Avisos"),
    ("if idle > IDLE_CEILING_RATIO", "if idle < IDLE_CEILING_RATIO", "Avisos"),
    ("if rate < SLOW_TOKENS_PER_SECOND", "if rate > SLOW_TOKENS_PER_SECOND", "Velocidade"),
    ("self.tpot_ms(sessions) > q.max_tpot_ms",
     "self.tpot_ms(sessions) >= q.max_tpot_ms", "Velocidade"),
    ("units = (q.nodes or 0) // self.unit - q.spares",
     "units = (q.nodes or 0) // self.unit", "Invertida"),
    ("return max(0, units * self.sessions // (1 + q.peak_headroom_ratio))",
     "return max(0, units * self.sessions // 1)", "Invertida"),
    ("return self.nodes(q, q.peak_headroom_ratio) + self.unit * q.spares",
     "return self.nodes(q, q.peak_headroom_ratio) + q.spares", "Invertida TetoFisico"),
    ('"failures_covered_peak": max(0, idle + units - self',
     '"failures_covered_peak": max(0, units - self', "Invertida"),
    ('"failures_covered_nominal": max(0, idle + units - self',
     '"failures_covered_nominal": max(0, units - self', "Invertida"),
    ("return at(longest(inside + 1, limit) or longest(first, inside) or first)",
     "return at(longest(first, limit) or first)", "Invertida"),
    ('        final = q.nodes if asks == "load" else q.nodes // unit * unit',
     "        final = q.nodes", "Invertida"),
    ('"covers_peak": nodes >= self.nodes_with_headroom',
     '"covers_peak": nodes > self.nodes_with_headroom', "Valores"),
    ('"interrupted_sessions": ceil_div(self.concurrency, units)',
     '"interrupted_sessions": self.concurrency // units', "Valores"),
    ('ceil_div(parts["dense_bytes"] - repeated, tp)',
     'ceil_div(parts["dense_bytes"], tp)', "TetoFisico"),
    ("and all(0 in (g.shards % tp, tp % g.shards) for",
     "and all(g.shards % tp == 0 for", "TetoFisico"),
    ("min(tp, g.shards)) for g in q.model.layer_groups)",
     "tp) for g in q.model.layer_groups)", "TetoFisico"),
    ("self.prefill_seconds * (sessions - 1) / self.output",
     "self.prefill_seconds * sessions / self.output", "Velocidade"),
    ('* (gpus - 1) / gpus / t["link_bandwidth"]',
     '* gpus / gpus / t["link_bandwidth"]', "Velocidade"),
    ("return min(self.requested_context or limit, limit)",
     "return self.requested_context or limit", "Cenarios"),
    ("path / at_once if shared else path", "path / at_once", "StorageECusto"),
    ('"node_recovery_seconds": load_seconds(offer.unit)',
     '"node_recovery_seconds": load_seconds(1)', "StorageECusto"),
    ('"restore" if restore < alone else "recompute"',
     '"restore" if restore > alone else "recompute"', "StorageECusto"),
    ("Fraction(total) / (years * 12 * sessions)",
     "Fraction(total) / (years * 12)", "StorageECusto"),
    ('"heat_btu_h": heat and nodes * heat', '"heat_btu_h": heat', "StorageECusto"),
    ('yield ("context_clamped', 'str("context_clamped', "Cenarios"),
    ('yield "single_node', 'str() and "single_node', "Avisos"),
    ('yield "kv_16bit', 'str() and "kv_16bit', "Avisos"),
    ('yield "idle_nodes', 'str() and "idle_nodes', "Invertida"),
    ('yield "%s_storage', 'str() and "%s_storage', "Cenarios"),
    ('yield ("weights_exceed_reserve', 'str("weights_exceed_reserve', "Avisos"),
    ('if pattern == "hybrid" and layers != self.num_layers',
     'if pattern == "hybrid" and layers > self.num_layers', "CatalogosRuins"),
    ("if self.total_hbm_gb != total", "if self.total_hbm_gb > total", "CatalogosRuins"),
    ('type(v) is int and v > 0, "um inteiro positivo"',
     'isinstance(v, int) and v > 0, "um inteiro positivo"', "CatalogosRuins"),
    ("if path in first and path[:-1] not in repeated:", "if False:", "CatalogosRuins"),
    ("abs(index_bytes - checkpoint) * 10 > checkpoint",
     "abs(index_bytes - checkpoint) * 5 > checkpoint", "HuggingFace"),
    ('"RAZÃO": (RATIO, Fraction, lambda v: 0 < v <= 1',
     '"RAZÃO": (RATIO, Fraction, lambda v: 0 < v <= 2', "FlagsRuins"),
    ('"PUE": (UNITS, Fraction, lambda v: 1 <= v <= 10',
     '"PUE": (UNITS, Fraction, lambda v: 0 < v <= 10', "StorageECusto"),
    ("return error.status", "return 1", "FlagsRuins"),
    ("if len(errors) == len(rows):", "if errors:", "Comparacoes"),
    ("load = q.concurrency, q.requested_context, q.ha_mode",
     "load = q.concurrency, q.requested_context", "Documentos"),
    ('"sessions_per_node": ("mais sessões por nó", lambda r: -(r.offer',
     '"sessions_per_node": ("mais sessões por nó", lambda r: (r.offer', "Comparacoes"),
    ("json.dumps(value) if isinstance(value, bool) else value", "value", "Comparacoes"),
    ("IDEAL_HEADROOM_RATIO, IDEAL_KV_BUDGET_RATIO = Fraction(30, 100), Fraction(65, 100)",
     "IDEAL_HEADROOM_RATIO, IDEAL_KV_BUDGET_RATIO = Fraction(30, 100), Fraction(70, 100)",
     "Explicacao"),
    ('yield q.under(ha_mode="n+1"), "recomendado"',
     'yield q.under(ha_mode="n+2"), "recomendado"', "Explicacao"),
    ('"--max-num-seqs %d" % ceil_div(r.offer.sessions,',
     '"--max-num-seqs %d" % ceil_div(layout.sessions_per_unit,', "Explicacao"),
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
        with open(path, "w", encoding="utf-8") as file:
            file.write(source.replace(text, change))
        done = subprocess.run([sys.executable, "test_sizing.py", "--parar", *classes.split()],
                              cwd=copy, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


def main():
    """Roda os mutantes, dois de cada vez, e lista os que sobrevivem."""
    chosen = [mutant for mutant in MUTANTS
              if not sys.argv[1:] or any(word in " ".join(mutant) for word in sys.argv[1:])]
    with open(os.path.join(ROOT, "sizing.py"), encoding="utf-8") as file:
        source = file.read()
    lost = [text for text, _, _ in MUTANTS if source.count(text) != 1]
    if lost:  # antes de rodar qualquer um
        raise SystemExit("mutantes sem lugar: %s" % lost)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        alive = [mutant for mutant, lives in zip(chosen, pool.map(survives, chosen)) if lives]
    for text, change, classes in alive:
        print("sobrevive (%s): %r → %r" % (classes, text, change))
    print("%d mutantes, %d sobrevivem" % (len(chosen), len(alive)))
    return 1 if alive or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
