#!/bin/sh
# Regenerates proto/gen from the contracts; called by `make proto`.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-../.venv/bin/python}
PATH="$(cd "$(dirname "$python")" && pwd):$PATH"
rm -rf gen/lotpro
mkdir -p gen
find lotpro -name '*.proto' | LC_ALL=C sort | xargs "$python" -m grpc_tools.protoc -I . \
    --python_out=gen --mypy_out=quiet:gen --grpc_python_out=gen --mypy_grpc_out=quiet:gen
