#!/usr/bin/env bash
# transformers 5.24.0, LongCat-Flash: os especialistas "zero" apenas devolvem a entrada e não têm pesos.
# Mesmo assim, o tensor gate/up de cada camada reserva linhas para eles (512 + 256 = 768), e o down, não (512).
# Com a configuração padrão, a do modelo publicado com 560 B, o modelo construído tem 741,053,585,408 parâmetros.
# Quem conta parâmetros no dispositivo meta superestima a memória dos pesos em quase um terço.
# Onde o torch do PyPI é o de CUDA, a instalação baixa alguns GB; as contas usam apenas a CPU.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check torch==2.13.0 transformers==5.24.0

cd "$folder"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error PYTHONUTF8=1 "$folder/venv/bin/python" - <<'PY'
import sys

import torch
import transformers
from transformers import LongcatFlashConfig, LongcatFlashForCausalLM
from transformers.models.longcat_flash.modeling_longcat_flash import LongcatFlashExperts

PUBLISHED = 560e9
config = LongcatFlashConfig()
with torch.device("meta"):
    model = LongcatFlashForCausalLM(config)
total = sum(p.numel() for p in model.parameters())
rows = {"gate_up_proj": set(), "down_proj": set()}
extra = 0
for name, p in model.named_parameters():
    last = name.rsplit(".", 1)[1]
    if ".experts." in name and last in rows:
        rows[last].add(p.shape[0])
        extra += (p.shape[0] - config.n_routed_experts) * p[0].numel()

# As linhas a mais são mesmo inúteis? Num caso pequeno, preenchê-las com NaN não muda a saída.
torch.manual_seed(0)
small = LongcatFlashConfig(hidden_size=16, expert_ffn_hidden_size=8, n_routed_experts=4, zero_expert_num=2)
experts = LongcatFlashExperts(small)
for p in experts.parameters():
    torch.nn.init.normal_(p)
x = torch.randn(12, 16)
chosen = torch.arange(24).reshape(12, 2) % 6  # cada um dos 6 especialistas é escolhido
share = torch.rand(12, 2)
with torch.no_grad():
    before = experts(x, chosen, share)
    experts.gate_up_proj[4:] = float("nan")
    unused = torch.equal(before, experts(x, chosen, share))

print(f"transformers {transformers.__version__}, torch {torch.__version__}")
print(f"Especialistas com pesos: {config.n_routed_experts}; especialistas zero: {config.zero_expert_num}")
for name, found in rows.items():
    print(f"Linhas de {name}: {', '.join(map(str, sorted(found)))}")
print(f"Parâmetros construídos: {total:,} ({total / PUBLISHED - 1:+.1%} em relação aos 560 B publicados)")
print(f"Sem as linhas dos especialistas zero: {total - extra:,} ({(total - extra) / PUBLISHED - 1:+.1%})")
print(f"NaN nessas linhas deixa a saída igual: {'sim' if unused else 'não'}")

same = (transformers.__version__ == "5.24.0" and total == 741_053_585_408 and unused
        and (config.n_routed_experts, config.zero_expert_num) == (512, 256)
        and rows == {"gate_up_proj": {768}, "down_proj": {512}}
        and abs((total - extra) / PUBLISHED - 1) < 0.01)
if not same:
    sys.exit("O comportamento mudou.")
print("O comportamento é o descrito: o gate/up reserva linhas que nunca são usadas.")
PY
