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
    # Unidades e números
    ("GB", "10**9, 2**30", "2**30, 2**30", "Valores"),
    ("TIB", "2**30, 2**40", "2**30, 10**12", "Valores"),
    ("ceil_div", "-(-numerator // denominator)", "numerator // denominator + 1",
     "Valores Propriedades"),
    ("largest", "middle - 1", "middle - 2", "Velocidade.test_mutantes"),
    ("with_headroom", "(headroom.denominator + headroom.numerator)", "headroom.denominator",
     "Valores"),
    # Cache
    ("KV_PRECISIONS", '"bf16": 2', '"bf16": 1', "Valores Propriedades Avisos"),
    ("Group.held_tokens", "min(context, self.cap_tokens or context)",
     "(self.cap_tokens or context)", "Cenarios"),
    ("heads_shape", "(k_dim + v_dim)", "2 * v_dim", "TetoFisico.test_tipos_de_cache"),
    ("mla_shape", '"elements_per_token": kv_lora_rank', '"elements_per_token": 2 * kv_lora_rank',
     "TetoFisico"),
    # A pergunta
    ("HA_SPARES", '"n+2": 2', '"n+2": 1', "Valores"),
    ("DEFAULT_OVERHEAD_GIB_PER_GPU", "15", "16", "Cenarios"),
    ("DEFAULT_PUE", "13", "12", "StorageECusto"),
    ("Question.effective_context", "min(self.requested_context or limit, limit)",
     "self.requested_context or limit", "Cenarios"),
    ("Question.request_fits", "shortest > 1", "shortest > 2", "Velocidade.test_um_token"),
    ("Question.request_fits", " else 0", " else 1", "Velocidade.test_um_token"),
    ("Question.request_fits", " else 0", " else -9", "Velocidade.test_um_token"),
    ("Question.request_fits", "cached >= self", "cached > self", "Velocidade Pedido"),
    ("Question.ends", "new <= TURN_TOKENS", "new < TURN_TOKENS", "Velocidade"),
    # Teto físico
    ("WEIGHT_BITS", '"bf16": (16, 16)', '"bf16": (8, 16)', "TetoFisico.test_precisao_dos_pesos"),
    ("WEIGHT_BITS", "Fraction(33, 8), 16", "Fraction(33, 8), 8",
     "TetoFisico.test_precisao_dos_pesos"),
    ("MAX_NODES_PER_REPLICA", "8", "7", "TetoFisico.test_nada_cabe"),
    ("weights_per_gpu", '["dense_bytes"] - replicated', '["dense_bytes"]', "TetoFisico"),
    ("moe_bytes", "max(2 * width, hidden)", "width", "TetoFisico.test_registros"),
    ("conversion_bytes", "5 * weight_bytes", "0 * weight_bytes", "TetoFisico.test_lote_pequeno"),
    # Blocos do motor
    ("sessions_held_in", "kv_blocks - 1 -", "kv_blocks -", "Blocos"),
    ("sessions_held_in", "free >= 0", "free > 0", "Blocos.test_sessoes"),
    ("sessions_held_in", "return 1 + ", "return ", "Blocos.test_sessoes"),
    ("Group.session_blocks", "return 1 + draft_tokens", "return 1", "Blocos.test_rascunho"),
    ("Group.session_blocks", "ceil_div(window, block_tokens) + straddled",
     "ceil_div(window, block_tokens)", "Blocos.test_motor"),
    ("Group.session_blocks", "self.cap_tokens - straddled", "self.cap_tokens",
     "Blocos.test_larguras"),
    ("Group.session_blocks", "min(whole, ", "max(0, ", "Blocos"),
    ("Group.session_blocks", "RESERVED_STATES + draft_tokens", "RESERVED_STATES",
     "Blocos.test_rascunho"),
    ("Group.session_blocks", '0 if self.kind == "chunked" else 1', "1", "Blocos.test_motor"),
    ("Group.session_blocks", "context), block_tokens) + straddled", "context), block_tokens)",
     "Blocos.test_motor"),
    ("RESERVED_STATES", "3", "2", "Blocos.test_motor"),
    ("Group.rank_bytes", "min(tp, self.shards)", "tp", "Blocos.test_segunda"),
    ("Group.rank_bytes", "and hopper and", "and", "Blocos.test_motor"),
    ("Group.rank_bytes", "4 * ceil_div(latent, 128)", "0", "Blocos.test_motor"),
    ("linear_shape", '"align_tokens": 64', '"align_tokens": 16', "Blocos.test_motor"),
    ("mamba_shape", '"align_tokens": 16', '"align_tokens": 64', "Blocos.test_motor"),
    ("kernel_block_tokens", "return 32", "return 16", "Blocos.test_motor"),
    ("kernel_block_tokens", "or (wide and fp8_on_hopper)", "", "Blocos.test_motor"),
    ("kernel_block_tokens", "on_blackwell and q.model", "q.model", "Blocos.test_motor"),
    ("page_parts", "ceil_div(group.layers, pp)", "group.layers // pp", "Blocos.test_etapas"),
    ("blocks_of", "(pp + 1)", "2", "Blocos.test_segunda"),
    ("attention_block_tokens", "align * ceil_div(max(states), align * max(tokens))",
     "ceil_div(max(states), max(tokens))", "Blocos.test_motor"),
    ("page_parts", "2 * many < 3 * few", "2 * many <= 3 * few", "Blocos.test_larguras"),
    ("page_parts", "2 * many < 3 * few", "many < 2 * few", "Blocos.test_larguras"),
    ("page_parts", "page_bytes // page\n", "1\n", "Blocos.test_larguras"),
    ("page_parts", " or page_bytes % page", "", "Blocos.test_larguras"),
    ("split_layers", "widest - size", "0", "Blocos.test_ancoras"),
    ("COMPRESSED_EXTRA_BYTES", "72", "64", "Blocos.test_motor"),
    ("COMPRESSED_PAGE_BYTES", "64, 576", "64, 512", "Blocos.test_motor"),
    ("COMPRESSOR_STATES", "(8, 4)", "(4, 4)", "Blocos.test_motor"),
    ("compressed_parts", "window_block) for group in windows", "block) for group in windows",
     "Blocos.test_motor"),
    ("Blocks.shared", "not item.group.cap_tokens and ", "", "Blocos.test_segunda"),
    ("Blocks.shared", "prefix // item.block_tokens", "ceil_div(prefix, item.block_tokens)",
     "Blocos.test_segunda"),
    ("Layout.kv_blocks", "max(0, self", "max(-9, self", "Blocos.test_sessoes"),
    ("Layout.sessions_logged", "self.reserved_blocks", "self.held_sizes[-1][0]",
     "Blocos.test_ancoras"),
    ("weight_parts", "max(ends)", "sum(ends)", "Blocos.test_etapas"),
    ("weight_parts", "sum(ends)", "0", "Blocos.test_etapas"),
    ("weight_parts", "min(stage, moe_layers)", "stage", "Blocos.test_etapas"),
    ("weight_parts", "q.model.moe_layers or layers", "layers", "Blocos.test_etapas"),
    ("end_bytes", "both - head if both >= 2 * head else both", "both", "Blocos.test_etapas"),
    ("plan_sessions_of", "nodes * node or ", "", "TetoFisico Blocos"),
    ("plan_sessions_of", "nodes * budget", "budget", "TetoFisico.test_orcamento"),
    ("plan_sessions_of", "ceil_div(prefix_copies, nodes)", "prefix_copies",
     "TetoFisico.test_orcamento"),
    ("tensor_parallel_ways", "copies and ", "", "Blocos.test_tensor_parallel"),
    ("tensor_parallel_ways", "(copies and tp % group.shards == 0)", "False",
     "Blocos.test_tensor_parallel"),
    ("replica_of", "tp * pp * dp", "tp * pp", "TetoFisico"),
    ("replicas_in_a_node", " and q.model.num_experts", "",
     "TetoFisico.test_atencao_em_data_parallel"),
    ("replicas_in_a_node", " and gpus > 1", "", "TetoFisico.test_atencao_em_data_parallel"),
    ("replicas_in_a_node", "q.model.latent and ", "", "TetoFisico.test_atencao_em_data_parallel"),
    ("replicas_in_a_node", "asked in (None, 1)", "asked is None",
     "TetoFisico.test_atencao_em_data_parallel"),
    ("staged_replicas", "1 < pp <= q.model.num_layers", "1 < pp", "Blocos.test_etapas"),
    ("staged_replicas", "sparing[-2:]", "sparing[:1]", "Blocos.test_etapas"),
    ("staged_replicas", "node_gpus % tp == 0 and ", "", "Blocos.test_etapas"),
    ("staged_replicas", "and q.pipeline_parallel in (None, pp) ", "", "Blocos.test_etapas"),
    ("staged_replicas", " and q.tensor_parallel in (None, tp)", "", "Blocos.test_etapas"),
    ("staged_replicas", " and not q.speculative_tokens", "", "TetoFisico.test_especulacao"),
    ("batch_sizes", "most - 240", "most - 256", "TetoFisico.test_grafos"),
    ("graphs_captured", "min(2 * sequences, most)", "min(sequences, most)",
     "TetoFisico.test_grafos"),
    ("layout_of", "sessions > sequences and ", "False and ", "TetoFisico.test_amostrador"),
    ("layout_of", "activation, graphs = runtime(sequences)", "activation, graphs = runtime(1)",
     "TetoFisico.test_amostrador"),
    ("layout_of", " - replica.non_torch_bytes", "", "TetoFisico.test_amostrador"),
    ("layout_of", "min(sequences, sessions) * dp", "min(sequences, sessions)", "TetoFisico"),
    ("unit_offers", "range(2,", "range(3,", "Blocos.test_unidades"),
    ("unit_offers", "compare(staged_replicas(q, 1))", "compare([])",
     "Blocos.test_sem_etapas"),
    ("unit_offers", "[spread_replicas(q, nodes)", "[()",
     "Blocos.test_unidades"),
    ("unit_offers", " > 0 and q.requests", " and q.requests", "TetoFisico.test_orcamento"),
    ("Offer.preference", "nominal, unmeasured, -sessions", "nominal, unmeasured, sessions",
     "TetoFisico Velocidade"),
    ("Offer.preference", "nominal, unmeasured, ", "nominal, ", "Blocos.test_sem_etapas"),
    # Velocidade
    ("KV_MBU", "0.79", "0.80", "Velocidade"),
    ("QUEUE_RATIO", "0.70", "0.90", "Velocidade"),
    ("Speed.rows", "rows if rows > 1 else 1.0", "rows", "Velocidade"),
    ("Speed.interference_seconds", "(sessions - 1)", "sessions", "Velocidade"),
    ("Speed.tpot_ms", "self.rows(sessions)", "sessions", "Velocidade"),
    ("Speed.missed", "> limit_ms:", ">= limit_ms:", "Velocidade"),
    ("Speed.missed", "> q.max_ttft_ms\n", ">= q.max_ttft_ms\n", "Velocidade"),
    ("speed_of", "* (stage_gpus - 1)", "* stage_gpus", "Velocidade"),
    # Nós, falhas e taxas
    ("Offer.admitted", "ceiling_sessions < sessions", "ceiling_sessions <= sessions",
     "TetoFisico Velocidade"),
    ("Offer.admitted", "kept * replicas < sessions", "kept * replicas <= sessions", "Velocidade"),
    ("Offer.admitted", "kept + 1", "kept", "Velocidade"),
    ("Offer.sessions_in_progress", "1 + largest(ceil_div(most, replicas) - 1",
     "largest(ceil_div(most, replicas)", "Velocidade.test_sessoes_de_uma_taxa"),
    ("Offer.sessions_in_progress", "(1 + headroom)", "1", "Velocidade.test_sessoes_de_uma_taxa"),
    ("Offer.sessions_in_progress", "float(rate / replicas)", "float(rate)",
     "Velocidade.test_sessoes_de_uma_taxa"),
    ("Offer.demand", "sessions // replicas * replicas or ", "", "Velocidade"),
    ("Offer.demand", "max(full,", "min(full,", "Velocidade"),
    ("Offer.nodes_with_spares", "self.nodes_per_unit * q.ha_spares", "q.ha_spares",
     "Invertida TetoFisico"),
    ("Offer.max_concurrency", " - q.ha_spares", "", "Invertida"),
    ("Offer.max_concurrency", "(1 + q.peak_headroom_ratio)", "1", "Invertida"),
    ("Offer.preference", "first, unit,", "first,",
     "Blocos.test_unidades Avisos.test_uma_unidade_so"),
    ("Offer.preference", "not sessions, ", "", "TetoFisico Velocidade"),
    ("ha_plan_of", "failed_nodes - idle", "failed_nodes", "Velocidade.test_carga_fixa"),
    ("ha_plan_of", "idle + units - nodes_with_headroom", "units - nodes_with_headroom",
     "Invertida.test_replica_de_varios_nos"),
    ("ha_plan_of", "idle + units - nodes_minimum", "units - nodes_minimum",
     "Invertida.test_replica_de_varios_nos"),
    ("ha_plan_of", ">= nodes_with_headroom", "> nodes_with_headroom", "Valores"),
    ("ha_plan_of", "ceil_div(concurrency, units)", "concurrency // units", "Valores"),
    # Storage, energia e custo
    ("LOADER_GBPS", "3", "4", "StorageECusto"),
    ("HOURS_PER_YEAR", "8760", "8766", "StorageECusto"),
    ("RACK_KW", "45", "40", "StorageECusto.test_racks"),
    ("RACK_UNITS", "42", "48", "StorageECusto.test_racks"),
    ("load_seconds", "if q.storage.shared:", "if True:", "StorageECusto"),
    ("recompute_seconds", "offer.tpot_scale", "1.0", "StorageECusto Velocidade"),
    ("recompute_seconds", " or q.prompt_tokens <= 0", "", "StorageECusto Velocidade"),
    ("storage_plan_of", "load_seconds(q, offer.nodes_per_unit)", "load_seconds(q, 1)",
     "StorageECusto"),
    ("storage_plan_of", "restore < recompute", "restore > recompute", "StorageECusto"),
    ("physical_of", "min(RACK_UNITS // units, int(RACK_KW // kw))", "RACK_UNITS // units",
     "StorageECusto.test_racks"),
    ("physical_of", "min(RACK_UNITS // units, int(RACK_KW // kw))", "int(RACK_KW // kw)",
     "StorageECusto.test_racks"),
    ("physical_of", "nodes * heat", "heat", "StorageECusto"),
    ("costs_of", "12 * sessions", "12", "StorageECusto"),
    # O dimensionamento
    ("USUAL_CONTEXTS", "range(2, 11)", "range(2, 10)", "Invertida.test_por_contexto"),
    ("capacity_of", "offers.sort(key=lambda offer: offer.preference(q))", "pass",
     "TetoFisico Velocidade"),
    ("calibrated", "plain.speed.tpot_ms(sessions)", "plain.speed.tpot_ms(1)",
     "Velocidade.test_calibracao_sem_carga"),
    ("calibrated", "sessions > used.s", "sessions >= used.s", "Velocidade"),
    ("calibrated", "str(offer.layout) == str(used)", "True", "Velocidade"),
    ("ranked_offers", "<= q.nodes]", "< q.nodes]", "Invertida.test_maior_de_todos"),
    ("ranked_offers", "len({item.nodes_per_unit for item in offers}) > 1", "False",
     "Comparacoes.test_unidade_de_cada_carga"),
    ("ranked_offers", " or offers", "", "Invertida TetoFisico"),
    ("size", ' if asks == "load" else q.nodes // unit * unit', "", "Invertida"),
    ("by_context", "<= q.model.max", "< q.model.max", "Invertida.test_por_contexto"),
    ("by_context", " if item.request_fits", "", "Invertida.test_por_contexto"),
    ("longest_context", " and attempt(at(even + 1))", " and False", "Invertida"),
    # Textos
    ("range_text", ">= 999.5:", ">= 1000:", "Velocidade.test_milhares"),
    ("range_text", ">= 999500", ">= 10**6", "Velocidade.test_milhares"),
    # Catálogos
    ("is_count", "type(value) is int", "isinstance(value, int)", "CatalogosRuins"),
    ("pattern_problems", "layers != model.num_layers", "layers > model.num_layers",
     "CatalogosRuins"),
    ("excess_problems", "value > limit", "value >= limit", "CatalogosRuins"),
    ("group_problems", 'if group["kind"] not in RIDERS', "", "CatalogosRuins TetoFisico"),
    ("server_contradictions", "server.total_hbm_gb != total", "server.total_hbm_gb > total",
     "CatalogosRuins"),
    ("storage_contradictions", "p99 < p50", "p99 <= p50", "CatalogosRuins"),
    ("repeated_keys", "elif path in first:", "elif False:", "CatalogosRuins"),
    ("repeated_keys", "if path[:-1] in repeated:", "if False:", "CatalogosRuins"),
    ("repeated_names", "owners[name_key(name)] = place", "owners[name] = place", "CatalogosRuins"),
    ("check_fields", "value is field.default or ", "", "CatalogosRuins"),
    # config.json
    ("read_decoder", " if value is not None", "", "HuggingFace"),
    ("check_read", " and not known", "", "HuggingFace"),
    ("check_read", " and re.search(HF_SUSPECT, name)", "", "HuggingFace"),
    ("sliding_kinds", "n > lower", "n >= lower", "HuggingFace.test_regras_de_camadas"),
    ("heads_mixer", "i >= decoder.own_kv", "i > decoder.own_kv", "HuggingFace"),
    ("moe_params", " or copies * width", "", "HuggingFace"),
    ("idle_params", " - moe[", " - 0 * moe[", "HuggingFace"),
    ("weight_formats", "only_experts or ", "", "HuggingFace"),
    ("keeps_role", "2 * len(cited) > num_layers", "2 * len(cited) >= num_layers",
     "HuggingFace.test_quantizacao"),
    ("keeps_role", "2 * len(cited)", "len(cited)", "HuggingFace.test_quantizacao"),
    ("read_checkpoint", " if decoder.family.mtp_copies else 0", "", "HuggingFace.test_mtp"),
    ("read_checkpoint", "2 * hidden * vocab * count if decoder.family.mtp_copies else 0", "0",
     "HuggingFace.test_mtp"),
    ("read_checkpoint", "2 * hidden**2 * count", "0", "HuggingFace.test_mtp"),
    ("check_index", "* 10 > computed", "* 5 > computed", "HuggingFace"),
    ("context_limit", "max(limit, int(", "max(0, int(", "HuggingFace"),
    # Recusas e o que caberia no lugar
    ("explained", "saying(error, error.expected + SHORTFALLS[error.short_of](error))", "error",
     "FlagsRuins.test_nada_cabe"),
    ("capacity_or_refusal", "explained(error)", "error", "Comparacoes.test_nenhuma_cabe"),
    ("memory_shortfall", "max(error", "min(error", "TetoFisico"),
    ("find_entry", "if len(boxes) == 1 else found", "if boxes else found",
     "FlagsRuins.test_gpu_de_varios_servidores"),
    ("find_entry", '.startswith("DGX ")', '.startswith("")',
     "FlagsRuins.test_gpu_de_varios_servidores FlagsRuins.test_nomes"),
    ("gpu_names", '.replace("NVIDIA ", "")', "", "FlagsRuins.test_nomes"),
    ("name_key", "[\\s_-]+", "[ _]", "FlagsRuins.test_nomes"),
    ("near_names", "close[:MAX_NEAR_NAMES]", "close[:1]", "FlagsRuins.test_nomes"),
    ("near_flag", "*words, ", "", "FlagsRuins.test_dicas"),
    ("joined", "if changed else entry", "if entry else changed", "CatalogosRuins.test_juntar"),
    ("joined", "for entry in shipped if name_key(entry.name) not in taken", "for entry in shipped",
     "CatalogosRuins.test_juntar"),
    ("joined", "for name in entry.aliases if name_key(name) not in taken",
     "for name in entry.aliases", "CatalogosRuins.test_juntar"),
    ("load_warnings", "override_texts(q)", "()", "CatalogosRuins.test_juntar"),
    ("comparison_of", "overrides.update", "str", "CatalogosRuins.test_juntar"),
    ("plan_options", "(kv_bytes + q.runtime_overhead_gib * GIB)", "kv_bytes", "FlagsRuins"),
    ("plan_options", "if ratio <= 1 else None", "if q else None", "FlagsRuins"),
    ("plan_options", "if overhead >= 0 else None", "if q else None", "FlagsRuins"),
    ("plan_options", "context and shorter.request_fits", "context",
     "Velocidade.test_mutantes"),
    ("plan_options", "q.element_bytes == 2", "q.element_bytes == 3", "FlagsRuins"),
    ("objectives_options", '("bf16", "fp16")', '("bf16",)', "Velocidade"),
    ("objectives_options", "input_tokens=q.ends[-1]", "input_tokens=q.ends[0]", "Velocidade"),
    ("nodes_options", "nodes=error.nodes_needed", "nodes=error.nodes_needed - 1",
     "Invertida.test_nada_se_mantem"),
    ("nodes_shortfall", "nodes // unit * offer", "nodes * offer",
     "Velocidade.test_limites_exatos"),
    ("fitting", "q and attempt(q)", "q", "FlagsRuins Velocidade"),
    ("ways_out", "if q.calibration:", "if False:", "Velocidade.test_recusa_calibrada"),
    ("ways_out", "not in UNTRIED", "in OPTIONS", "TetoFisico.test_nada_cabe"),
    ("ways_out", "q.pipeline_parallel and", "False and", "TetoFisico.test_nada_cabe"),
    ("HIGHER_UTILIZATIONS", "Fraction(92, 100), Fraction(95, 100)",
     "Fraction(95, 100), Fraction(92, 100)", "TetoFisico.test_mais_hbm"),
    ("nodes_options", "[more, *memory_options(error)]", "[more]", "TetoFisico.test_mais_hbm"),
    ("alternatives", "if r.offer.nodes_per_unit > 1:", "if False:", "TetoFisico.test_mais_hbm"),
    ("alternatives", "if other in kv_precisions_of(q.model, q.server):", "if True:",
     "TetoFisico.test_kv_que"),
    ("kv_precisions_of", " or not server.tflops_fp4", "", "TetoFisico.test_kv_que"),
    ("kv_precisions_of", '"int8": model.latent', '"int8": False', "TetoFisico.test_kv_que"),
    ("require_served", " and not q.model.mtp", "", "TetoFisico.test_especulacao"),
    ("require_served", "> tokens", ">= tokens", "TetoFisico.test_max_num_seqs"),
    ("Layout.capped", " < self.sessions_held", "", "TetoFisico.test_max_num_seqs"),
    ("layout_of", "q.requested_max_num_batched_tokens or sessions", "sessions",
     "TetoFisico.test_max_num_batched"),
    ("Group.rank_bytes", "if self.elements_per_token:", "if True:", "TetoFisico.test_kv_de_menos"),
    ("engine_kv_dtype", 'q.model.native_precision == "fp16"', 'q.kv_precision == "fp16"',
     "Explicacao.test_comando"),
    ("launch_words", "max(sequences, q.max_num_batched_tokens)", "q.max_num_batched_tokens",
     "Explicacao.test_comando"),
    ("ways_out", " and attempt(option)", "", "TetoFisico Velocidade"),
    ("ways_out", 'if error.short_of == "plan"', 'if error.short_of', "Velocidade Invertida"),
    ("ways_out", "text if found else ", "", "FlagsRuins Velocidade TetoFisico Invertida"),
    # Avisos
    ("extrapolations", "gpus > 8", "gpus > 9", "Velocidade.test_extrapolacao"),
    ("extrapolations", "gpus > 8", "gpus >= 8", "Velocidade.test_extrapolacao"),
    ("extrapolations", "gpus > 1 and ", "", "Velocidade.test_extrapolacao"),
    ("extrapolations", "> MEASURED_CONTEXT", ">= MEASURED_CONTEXT", "Velocidade.test_extrapolacao"),
    ("extrapolations", '("int4", "int8")', '("int4",)', "Velocidade.test_mutantes"),
    ("extrapolations", '(q.server.gpu or "").split()', '(q.server.gpu or "")',
     "Velocidade.test_extrapolacao"),
    ("extrapolations", 'q.model.compressed', 'q.model.latent',
     "Velocidade.test_extrapolacao"),
    ("warnings_of", "tight_warning, ceiling_warnings", "ceiling_warnings, tight_warning",
     "Avisos Interface Documentos"),
    ("checkpoint_bytes", " and not quantized_on_load(q)", "", "StorageECusto.test_fp8_ao_carregar"),
    ("least_weights_bytes", "0 if q.converted else checkpoint_bytes(q)", "0",
     "TetoFisico.test_pesos_maiores_que_a_hbm"),
    ("capacity_of", "> q.server.total_hbm_gb", ">= q.server.total_hbm_gb",
     "TetoFisico.test_pesos_maiores_que_a_hbm"),
    ("load_warnings", 'yield ("context_clamped', 'str("context_clamped', "Cenarios"),
    ("load_warnings", 'yield "single_node', 'str() and "single_node', "Avisos"),
    ("load_warnings", "r.nodes_final == unit", "r.nodes_final == 1", "Avisos.test_uma_unidade_so"),
    ("load_warnings", "r.nodes_final == unit", "r.nodes_final >= unit",
     "Avisos.test_uma_unidade_so"),
    ("load_warnings", 'yield "idle_nodes', 'str() and "idle_nodes',
     "Invertida.test_replica_de_varios_nos"),
    ("no_speed_warning", "r.offer.layout and ", "", "TetoFisico.test_sem_dados"),
    ("speed_warnings", "rate < SLOW", "rate > SLOW", "Velocidade"),
    ("speed_warnings", "> HEAVY_PREFILL_RATIO", "< HEAVY_PREFILL_RATIO", "Velocidade"),
    ("tight_warning", "spare < TIGHT", "spare <= TIGHT", "Avisos"),
    ("ceiling_warnings", "if offer.nodes_per_unit > 1", "if offer.nodes_per_unit > 9", "Avisos"),
    ("plan_warnings", "> HIGH_KV_BUDGET_RATIO", ">= HIGH_KV_BUDGET_RATIO", "Avisos"),
    ("plan_warnings", 'yield "%s_storage', 'str() and "%s_storage', "Cenarios"),
    ("plan_warnings", 'yield "kv_16bit', 'str() and "kv_16bit', "Avisos"),
    # Explicação e relatório
    ("IDEAL_KV_BUDGET_RATIO", "65", "70", "Explicacao"),
    ("figures_of", "name not in rows and ", "", "Explicacao"),
    ("FIGURES", "ceil(concurrency / floor(nodes_final", "ceil(concurrency / (nodes_final",
     "Explicacao.test_contas"),
    ("FIGURES", "kept_per_replica * replicas_per_unit", "kept_per_replica", "Explicacao"),
    ("time_figures", "tpot_margin * %s", "%s", "Explicacao.test_ao_acaso"),
    ("limit_names", "if speed.confident", "if not speed.confident", "Explicacao"),
    ("limit_names", "kept + 1", "kept", "Explicacao.test_objetivos"),
    ("limit_names", "or not limited", "", "Explicacao.test_ao_acaso"),
    ("time_names", '"_ms"] * margin', '"_ms"]', "Explicacao.test_objetivos"),
    ("plain_page", "[HEADLINES[r.asks](r), *paragraphs]", "paragraphs", "Explicacao.test_pagina"),
    ("limit_plain", "others.pop(offer.limited_by, None)", "pass", "Explicacao.test_pagina"),
    ("near_text", "digits[0] if", "digits[-1] if", "Explicacao.test_pagina"),
    ("objectives_plain", "time != offer.limited_by", "time == offer.limited_by", "Explicacao"),
    ("nodes_plain", "r.nodes_with_headroom + spares", "r.nodes_with_headroom",
     "Explicacao.test_pagina"),
    ("speed_plain", '["estimate"] / 1000', '["estimate"]', "Explicacao.test_pagina"),
    ("failure_plain", 'r.question.requests_per_second is not None', "False", "Explicacao"),
    ("predicted_plain", "outside = extrapolations(r)", "outside = []", "Explicacao"),
    ("measured_plain", "read and not q.converted", "read", "Explicacao"),
    ("names_of_figures", "limit_names(r), answer_names(r)", "results_of(r), answer_names(r)",
     "Explicacao"),
    ("alternatives", "tensor_parallel=None", "nodes=None", "Explicacao.test_o_que_mudaria"),
    ("alternatives", " and not q.calibration", "", "Explicacao.test_o_que_mudaria"),
    ("alternatives", " and half.request_fits", "", "Explicacao"),
    ("launch_words", "ceil_div(r.offer.sessions_per_unit,", "ceil_div(layout.ceiling_sessions,",
     "Explicacao"),
    ("scenarios_of", 'ha_mode="n+1"', 'ha_mode="n+2"', "Explicacao"),
    ("upper_kv_bytes", "cap_tokens=None", "stride=1", "Interface Valores TetoFisico"),
    ("SizingResult.states", 'and (peak or "peak" not in state[0])', "", "Objetivos Velocidade"),
    ("SizingResult.states", '("failure_peak", left, peak)', '("failure_peak", left, 0)',
     "Objetivos"),
    ("SizingResult.performance_with", "headroom) <= nodes", "headroom) < nodes", "Objetivos"),
    ("objective_of", ' and case["covered"]', "", "Objetivos"),
    ("promised_states", '("nominal", "peak")', '("nominal", "failure")', "Objetivos"),
    ("confidence_changes", "not r.confident or ", "r.confident is not None and ", "Objetivos"),
    ("objective_of", "bad <= limit", "bad < limit", "Objetivos"),
    ("objective_of", '"at_risk"', '"missed"', "Objetivos PrimeiraTela"),
    ("Speed.margins", "if not self.confident", "if self.confident", "Objetivos"),
    ("Speed.planned_latency_seconds", " * self.margins[2]", "", "Objetivos"),
    ("total_fits", "max(third, 0)", "0", "Pedido"),
    ("total_fits", "NORMAL_99**2 * variance", "variance", "Pedido"),
    ("Group.shared_bytes", "if self.cap_tokens", "if False", "Pedido"),
    ("Offer.prefix_copies", " * self.layout.data_parallel", "", "Pedido"),
    ("safe_text", "rounding=rounding", "rounding=ROUND_FLOOR", "Velocidade Objetivos"),
    ("risk_texts", "risky or confidence_changes(r)", "risky", "PrimeiraTela Objetivos"),
    ("confidence_changes", "not r.confident or ", "", "PrimeiraTela Objetivos"),
    ("by_context", "context_mix=()", "context_mix=q.context_mix", "Invertida Pedido"),
    # Comparações
    ("SORTS", "-results_of(r)", "results_of(r)", "Comparacoes"),
    ("REFUSED", "((True, 1),)", "((False, 0),)", "Comparacoes"),
    ("rank", "key is None", "False", "Comparacoes"),
    ("load_of", ", q.ha_mode", "", "Documentos.test_comandos"),
    ("load_of", ", q.requested_context", "", "Comparacoes.test_ordem_e_melhor"),
    ("load_of", "q.model, ", "", "Comparacoes.test_melhor_de_cada_modelo"),
    ("server_labels", "products.count(server.product) == 1", "True",
     "Comparacoes.test_nomes_dos_servidores"),
    ("narrowed", "WIDTH - 1", "WIDTH + 9", "Comparacoes.test_tabela_em_80_colunas"),
    ("table_lines", "title == c.needed", "False", "Comparacoes.test_tabela"),
    ("column_width", "3 + max", "2 + max", "Comparacoes.test_tabela_em_80_colunas"),
    ("rank", "for name in TIES", "for name in TIES[:3]", "Comparacoes.test_melhor_de_cada_modelo"),
    ("table_lines", "numbered or row.reason", "row.reason",
     "Comparacoes.test_tabela_em_80_colunas"),
    ("confident_choices", "rows[rival].position[:2] < position", "False",
     "Comparacoes.test_confianca_muda_a_melhor"),
    ("confident_choices", "changed[old] = None if position == REFUSED else new",
     "changed[old] = new",
     "Comparacoes.test_confianca_muda_a_melhor"),
    ("worst_verdict", "reversed(list(VERDICTS))", "VERDICTS",
     "Comparacoes.test_metas_na_tabela"),
    ("Asked.fields_on", '\n                if name not in ("energy_price", "years")', "",
     "Comparacoes.test_preco_de_cada_servidor"),
    ("prices_of", "server.name in found", "False", "Comparacoes.test_preco_de_cada_servidor"),
    ("sized", '"total" if', '"power_kw" if', "Comparacoes.test_preco_de_cada_servidor"),
    ("choices_of", "len(choices) > 1", "choices", "Comparacoes.test_ordem_e_melhor"),
    ("best_rows", " if rows[index].position != REFUSED", "", "Comparacoes.test_ordem_e_melhor"),
    ("json_lines", "row.question.model", "0", "Comparacoes.test_motor_de_cada_linha"),
    ("json_lines", "row.question.server", "0", "Comparacoes.test_linhas_iguais"),
    ("json_lines", "r.offers not in engines", "not engines", "Comparacoes.test_linhas_iguais"),
    ("json_lines", " + engine", "", "Comparacoes.test_linhas_iguais"),
    ("comparison_of", "if row.note", "if not sort", "Comparacoes.test_nota_da_velocidade"),
    ("in_order", "sorted(places)", "places", "Comparacoes.test_ordem_no_json"),
    ("in_order", "len(data)", "len(line)", "Comparacoes.test_ordem_no_json"),
    ("csv_values", "nodes_final=r.nodes_final", "nodes_final=r.nodes_minimum", "Comparacoes"),
    ("csv_values", "limited_by=r.offer.limited_by", 'limited_by="plan"', "Comparacoes"),
    ("csv_values", "r.offer.sessions_per_unit // r.offer.nodes_per_unit",
     "r.offer.sessions_per_unit", "Comparacoes"),
    ("csv_writer", "excel_cell if excel else csv_cell", "csv_cell", "Comparacoes.test_csv_excel"),
    ("excel_cell", '"=", "+", "-", "@"', '"=", "+", "@"', "Comparacoes.test_csv_excel"),
    ("csv_start", "BOM * excel + ", "", "Comparacoes.test_csv_excel"),
    ("main", 'encoding="utf-8", ', "", "Comparacoes.test_csv_excel"),
    ("csv_values", "load_seconds(r.question, r.nodes_final)", "load_seconds(r.question, 1)",
     "Comparacoes"),
    ("csv_values", "error=str(outcome)", "error=outcome.expected", "Comparacoes"),
    ("csv_values", "effective_context=r.question.effective_context",
     "effective_context=q.effective_context", "Comparacoes"),
    ("csv_values", '["max_context"] = r.question', '["max_context"] = q', "Comparacoes"),
    ("csv_speed", 'figure["high"]', 'figure["low"]', "Comparacoes"),
    ("csv_speed", "if figure:", "if name:", "Comparacoes.test_ordem_no_json"),
    ("csv_cell", "json.dumps(value) if isinstance(value, bool) else value", "value",
     "Interface.test_listas"),
    ("plain_csv", ', "kv_groups"', "", "Interface.test_listas"),
    # Página HTML
    ("element", "html.escape(str(value))", "str(value)", "Documentos.test_doctests"),
    ("element", "isinstance(part, Markup) else", "True else", "PaginaHtml"),
    ("nice_step", "5 * power", "4 * power", "Documentos.test_doctests"),
    ("nodes_chart", "(edge * full * load_of", "((edge + 1) * full * load_of",
     "PaginaHtml.test_nos_pela_carga"),
    ("nodes_chart", "(peak, r.nodes_with_headroom)", "(planned, r.nodes_with_headroom)",
     "PaginaHtml.test_nos_pela_carga"),
    ("speed_chart", "1e3 / limit_ms", "2e3 / limit_ms", "PaginaHtml.test_velocidade_pela_carga"),
    ("speed_curves", "low[::-1]", "low", "PaginaHtml.test_velocidade_pela_carga"),
    ("hbm_chart", "seen += size_gib", "seen += 0", "PaginaHtml.test_hbm"),
    ("preferred", "new.scenario == RECOMMENDED", "False", "PaginaHtml.test_comparacao_sem"),
    ("preferred", "load_of(new.question) == load_of(old.question)", "True",
     "PaginaHtml.test_comparacao_sem"),
    ("html_text", "if ascii_only", "if 0", "PaginaHtml.test_ascii"),
    # Leitura das flags
    ("UNITS", "1000", "1024", "FlagsRuins Valores"),
    ("TOKENS", "1024)", "1000)", "FlagsRuins"),
    ("Quantity.read", "text[-1:].lower()", "text[-1:]", "FlagsRuins"),
    ("Quantity.read", "illegible_hint(body)", 'str()', "FlagsRuins"),
    ("Quantity.read", ' and "e" not in body.lower()', "", "FlagsRuins"),
    ("Quantity.read", '"." in body and not factor', '"." in body', "FlagsRuins"),
    ("Quantity.read", "in_thousands(body) and not self.three_places", "in_thousands(body)",
     "FlagsRuins.test_milhares"),
    ("in_thousands", "[1-9][0-9]{0,2}", "[0-9]{1,3}", "FlagsRuins.test_milhares"),
    ("with_other_places", "if in_thousands(short) else short", "if in_thousands(text) else short",
     "FlagsRuins.test_milhares"),
    ("Quantity.read", " and whole", "", "FlagsRuins"),
    ("Quantity.read", "not factor and self.accepts(value)", "not factor", "FlagsRuins"),
    ("Quantity.read", "value > 1 and not factor", "value > 1", "FlagsRuins"),
    ("Quantity.read", "self.suffixes is RATIO and ", "", "FlagsRuins"),
    ("UNIT_RATIO", "0 < ratio <= 1,", "0 < ratio <= 2,", "FlagsRuins"),
    ("READERS", "ratio >= 0,", "ratio > 0,", "Invertida.test_sessoes"),
    ("READERS", "1 <= pue <= 10,", "0 < pue <= 10,", "StorageECusto"),
    ("READERS", "years <= 100,", "years < 100,", "StorageECusto"),
    ("choice", "if text.lower() in options", "if text in options", "FlagsRuins"),
    ("measured_point", "wrong.value = text", "pass", "FlagsRuins.test_milhares"),
    ("Question.runtime_overhead_gib", "if asked is None else asked", "if not asked else asked",
     "FlagsRuins.test_overhead_zero"),
    ("parse_arguments", 'word[1:2] != "-"', 'word[1:2] != ""', "FlagsRuins"),
    ("several_values", "(^|,)0[0-9]+(,|$)", "(^|,)00[0-9]+(,|$)",
     "Comparacoes.test_elementos_ruins"),
    # Linha de comando
    ("asked_by", 'fields["peak_headroom_ratio"] = Fraction(0)', "pass",
     "Invertida.test_carga_literal"),
    ("Asked.count", ", self.ha_modes", "", "Comparacoes.test_uma_lista_so"),
    ("Asked.count", "self.kv_precisions, ", "", "Comparacoes.test_uma_lista_so"),
    ("rows_of", "replace(base, ", "replace(bases[0], ", "Comparacoes.test_linhas_iguais"),
    ("rows_of", "concurrency=concurrency, ", "", "Comparacoes.test_linhas_iguais"),
    ("rows_of", ", ha_mode=ha_mode", "", "Comparacoes.test_linhas_iguais"),
    ("rows_of", ", storage=storage", "", "Comparacoes.test_replicas_de_cada_linha"),
    ("outcome_of", " if value", "", "Comparacoes.test_auto_entre_os_tp"),
    ("capacity_or_refusal", 'q.asks == "context"', "False", "Invertida.test_contexto"),
    ("with_an_answer", "chain(refused, [row], rows)", "chain([row], rows)",
     "Comparacoes.test_ordem_e_melhor"),
    ("with_an_answer", "chain(refused, [row], rows)", "chain([row], refused, rows)",
     "Comparacoes.test_ordem_e_melhor"),
    ("with_an_answer", "refused.append(row)", "raise row.outcome", "Comparacoes.test_nenhuma_cabe"),
    ("with_an_answer", "error.status != 3", "error.status == 3", "Comparacoes.test_nenhuma_cabe"),
    ("with_progress", "total > 250", "total > 249", "Interface.test_andamento"),
    ("with_progress", "done % 250 == 0", "done % 251 == 0", "Interface.test_andamento"),
    ("single_answer", "ways_out(r, servers)", "str()", "FlagsRuins"),
    ("write", "return 1", "return 0", "Interface.test_fluxos"),
    ("main", "write(pieces) or status", "write(pieces)", "CatalogosRuins Interface"),
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
