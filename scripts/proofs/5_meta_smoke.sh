#!/usr/bin/env bash
# scripts/meta_smoke.sh on the test's little Meta folder: it generates, and scores a text and HellaSwag items
cp -r tests/fixtures/8_meta "$WORK/meta"
scripts/meta_smoke.sh "$WORK/meta" README.md 2>/dev/null
