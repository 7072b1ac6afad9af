"""Is the traffic still what it was? From columns of features to verdicts, within a budget of false alerts.

No clock and no I/O, but for the two files that say so. The way of a window:

- `columns`        decoded exchanges as columns: numbers (NaN is missing) and text (None is missing)
- `event_time`     when rows happened, where a feature says so
- `windows`        which rows make a window
- `binning`        the bins of numeric features, and their fast look-up
- `summary`        rows to summaries of counts, which merge
- `tally`          the counts of one feature as the tests see them
- `ks`, `wasserstein`, `psi`, `jensen_shannon`, `hellinger`, `chi_squared`, `g_test`, `total_variation`, `two_proportions`
                   one statistic each: how far a window's counts are from the baseline's
- `rates`          of what rows the proportions are
- `mean_distance`  how far the mean of several numbers of each row is from the baseline's, whatever the numbers are
- `joint`          all numbers at once: changes that are small in each of them
- `mmd`            how far a window's vectors are from the baseline's, by the sums of their random features
- `statistic`      what statistics, tests and effects are, whatever the feature
- `calibration`    what the statistics do when nothing has changed, by resampling: p-values that allow for the baseline's own error
- `effect`         how large a change is, with noise taken off
- `frequencies`    tests of frequencies: cells, statistic, effect
- `univariate`     all tests of one feature
- `wandering`      what the windows before foretell of this one; only the rest is news
- `evidence`       p-values to e-values to an e-detector
- `recovery`       evidence that an effect has gone
- `pairs`          what goes with what among the numbers: sums that merge
- `duplicates`     rows that equal an earlier one: hashes that merge
- `correlation`    the largest change of a correlation, and that of all of them together
- `derived`        numbers and levels made of what is neither
- `hashing`        categories with very many levels, by hash
- `texts`          free text: its length, words and script
- `timestamps`     their age, and the hour of the day
- `vectors`        vectors as points of a lattice, so that sums are exact
- `random_features` a few numbers of each vector whose means tell distributions apart: sums that merge
- `reconstruction` how much of a vector its usual directions do not explain
- `weighted_chi_squared`
                   the tail of a weighted sum of chi-squared variables
- `watch`          one question over windows: evidence, and the effect since the change began
- `feature`        one feature over its windows; `joint_watch` all numbers, `pair_watch` all correlations, `duplicate_watch` all duplicates; `vector_watch` one vector
- `words`          baseline against now, in a few words
- `quality`        what is wrong with the data, in sentences that say what to do
- `rolling`        one period against the one before: a report
- `explanation`    why a verdict is what it is: cells of a picture, since when, where the window gained most
- `budget`         "1 per 30 days" to the evidence that an alert needs
- `drift`          all of it for one model: `update` with rows, or `test` a merged summary; a verdict per window

And with labels, how wrong predictions are:

- `betting`        bets on the mean of losses: evidence that it has risen, a bound on it
- `rise`           evidence from windows of losses that their mean is above a bound
- `risk`           losses of labelled predictions against the baseline's: a verdict per window

And with shadows, whether they answer otherwise:

- `pairing`        which replies belong together
- `agreement`      two replies, output by output
- `shadow_window`  a window of pairs: classes, scores, durations, examples
- `shadow`         one model and shadow: a comparison and a verdict per window

What is compared with:

- `baseline`       made from columns; read and written as JSON (I/O)
- `vector_baseline`
                   of a feature whose value is a vector
- `null_run`       how often all of it alerts on rows that do not drift
- `dependence`     how much noisier traffic is than independent rows, and how long it remembers
- `least_squares`  without negative coefficients, for `dependence`
- `cycle`          what to expect at each hour of a day or a week
- `tables`         columns from CSV and Parquet files (I/O)

And beside them:

- `arrays`         the types of arrays
"""
