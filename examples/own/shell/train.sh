#!/bin/sh
# Logistic regression in awk, taught by soft labels: sh train.sh SEED TEMPERATURE KD_WEIGHT LABEL_WEIGHT LEARNING_RATE EPOCHS
#
# The agent fills these in, so that no JSON is read here; an epoch's report is a line of JSON that is appended.
set -eu
program=$(cd "$(dirname "$0")" && pwd)/train.awk
cd "$THERMOWELL_TRIAL"
: > weights

epoch=0
while [ "$epoch" -lt "$6" ]; do
    epoch=$((epoch + 1))
    awk -v seed="$1" -v temperature="$2" -v kd_weight="$3" -v label_weight="$4" -v rate="$5" -v epoch="$epoch" \
        -f "$program" weights > next
    mv next weights
    validation=$(awk '$1 == "validation" { print $2 }' weights)
    echo "epoch $epoch: $validation"
    echo "{\"epoch\": $epoch, \"metrics\": {\"accuracy\": $validation}}" >> reports.jsonl
    until [ -e decisions.jsonl ] && [ "$(wc -l < decisions.jsonl)" -ge "$epoch" ]; do sleep 0.02; done
    tail -n 1 decisions.jsonl | grep -q '"stop": null' || exit 0
done

test=null
if grep -q '"test": true' trial.json; then
    test="{\"accuracy\": $(awk '$1 == "test" { print $2 }' weights)}"
fi
echo "{\"epoch\": $epoch, \"metrics\": {\"accuracy\": $validation}, \"test\": $test}" > result.part
mv result.part result.json
