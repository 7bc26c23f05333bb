"""From sources to predictions, in steps: encode, batch, search, align, decode, time.

`predictor` puts the steps together; each has a file: `sources` encodes, `batching` cuts batches,
`engine` searches and aligns, on threads (`parallel`) or processes, and `outputs` decodes. The types
of predictions, with their times, belong to the modalities.
"""
