"""Is the traffic still what it was? From columns of features to verdicts, within a budget of false alerts.

No clock and no I/O, but for the two files that say so. The way of a window:

- `columns`        decoded exchanges as columns: numbers (NaN is missing) and text (None is missing)
- `windows`        which rows make a window
- `binning`        the bins of numeric features, and their fast look-up
- `summary`        rows to summaries of counts, which merge
- `ks`, `wasserstein`, `psi`, `chi_squared`, `rates`
                   one statistic each: how far a window's counts are from the baseline's
- `statistic`      what they have in common
- `calibration`    what the statistics do when nothing has changed, by resampling: p-values that allow for the baseline's own error
- `univariate`     all tests of one feature
- `effect`         how large a change is, with noise taken off, over the windows since it began
- `evidence`       p-values to e-values to an e-detector
- `recovery`       evidence that the traffic has returned
- `budget`         "1 per 30 days" to the evidence that an alert needs
- `drift`          all of it for one model: `update` with rows, or `test` a merged summary; a verdict per window

What is compared with:

- `baseline`       made from columns; read and written as JSON (I/O)
- `design_effect`  how much noisier the baseline is than independent rows
- `tables`         columns from CSV and Parquet files (I/O)

And beside drift:

- `agreement`      served replies against the shadows' replies
"""
