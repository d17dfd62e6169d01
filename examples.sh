#!/usr/bin/env bash
# Dez perguntas ao sizing.py. Roda de qualquer diretório, sem esperar tecla, e termina com status
# diferente de zero se algum exemplo falhar.
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

run 'Quantos nós? 1000 sessões de 128k no DGX B300, com um nó de reserva' \
  --model opt-oss-120b --server dgx300 --concurrency 1000 --effective-context 128k --ha n+1

run 'Qual servidor? Todos, do que pede menos nós ao que pede mais' \
  --model opt-oss-120b --server all --concurrency 1000 --effective-context 128k --ha n+1 \
  --sort nodes

run '32k ou 128k, fp8 ou fp16, com reserva ou sem?' \
  --model opt-oss-120b --server dgx300 --concurrency 1000 --effective-context 32k,128k \
  --kv-precision fp8,fp16 --ha none,n+1

run 'Tenho 4 DGX H200: quantas sessões mantêm, com um de reserva?' \
  --model llama-3.3-70b --server dgx200 --nodes 4 --effective-context 32k --ha n+1

run 'Tenho 2 DGX B300 e 3000 sessões: até que contexto?' \
  --model opt-oss-120b --server dgx300 --nodes 2 --concurrency 3000

run 'Tenho 2 DGX B300: esta conversa cabe? A que velocidade?' \
  --model opt-oss-120b --server dgx300 --nodes 2 --concurrency 1000 --effective-context 128k \
  --input-tokens 1024

run 'Mínimo, recomendado ou ideal? O que cada um suporta' \
  --model opt-oss-120b --server dgx300 --concurrency 1000 --scenarios

run 'Rápido: até 50 ms por token, com prompts novos' \
  --model opt-oss-120b --server dgx300 --concurrency 1000 --ha n+1 --max-tpot-ms 50

run 'Partida a frio num storage de rede e o custo de 4 anos' \
  --model deepseek-r1 --server dgx200 --concurrency 1000 --effective-context 32k --ha n+1 \
  --storage profile_network_ssd --node-price 400000 --energy-price 0.12 --years 4

run 'Por quê? Fórmulas, leiautes, o que mudaria a resposta, o comando do motor' \
  --model opt-oss-120b --server dgx300 --concurrency 1000 --ha n+1 --explain
