"""The road every language-model run takes: base, train, merge, convert, quantize, certify, predict, gate, deploy."""
