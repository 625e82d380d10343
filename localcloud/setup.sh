#!/bin/sh
# `make setup`: finds a Python that is new enough and hands over to setup_environment.py.
set -eu
cd "$(dirname "$0")/.."
if [ -x .venv/bin/python ] && .venv/bin/python -S -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    exec .venv/bin/python -S localcloud/setup_environment.py
fi
for python in ${PYTHON3:-} python3 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$python" localcloud/setup_environment.py
    fi
done
if command -v python3 >/dev/null 2>&1; then
    echo "lotPro needs Python 3.11 or newer; this machine's is $(python3 -V 2>&1 | cut -d' ' -f2)." >&2
else
    echo "lotPro needs Python 3.11 or newer, and none was found on this machine." >&2
fi
exit 1
