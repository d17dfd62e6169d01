#!/usr/bin/env bash
# Oito exemplos práticos do sizing.py. Roda de qualquer diretório, sem esperar tecla, e termina
# com status diferente de zero se algum exemplo falhar.
set -euo pipefail
cd "$(dirname "$0")"

example=0
run() {
  example=$((example + 1))
  printf '\n── %d. %s\n$ python3 sizing.py' "$example" "$1"
  shift
  printf ' %s' "$@"
  printf '\n\n'
  "${PYTHON:-python3}" sizing.py "$@"
}

run 'Produção: 1000 sessões de 128k no DGX B300, com um nó de reserva' \
  --model opt-oss-120b --server dgx300 --concurrency 1000 --effective-context 128k --ha n+1

run 'A mesma carga no DGX H200: quantos nós a mais?' \
  --model opt-oss-120b --server dgx200 --concurrency 1000 --effective-context 128k --ha n+1

run 'Econômico: modelo de 20B, contexto de 32k, um servidor' \
  --model opt-oss-20b --server dgx200 --concurrency 1000 --effective-context 32k \
  --runtime-overhead-gib 80

run 'Alta precisão: KV em fp16 ocupa o dobro da memória' \
  --model opt-oss-20b --server dgx200 --concurrency 500 --effective-context 64k \
  --kv-precision fp16

run 'Nuvem: armazenamento em blocos e contexto acima do máximo geram avisos' \
  --model opt-oss-120b --server dgx300 --concurrency 500 --effective-context 200k \
  --storage profile_cloud_premium --ha n+1

run 'Latência: até 50 ms por token, com prompts novos' \
  --model opt-oss-120b --server dgx300 --concurrency 1000 --ha n+1 --max-tpot-ms 50

run 'O que já existe: 2 nós aguentam 1000 sessões em conversa? A que velocidade?' \
  --model opt-oss-120b --server dgx300 --nodes 2 --concurrency 1000 --effective-context 128k \
  --input-tokens 1024

run 'Automação: o mesmo resultado em JSON, para um script' \
  --model opt-oss-120b --server dgx300 --concurrency 5000 --peak-headroom-ratio 30% --ha n+1 \
  --json
