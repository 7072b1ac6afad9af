"""What turned out to be true of predictions: labels, from a caller's body to a place where a kill cannot lose them.

- `reading`     JSON, JSON Lines and CSV to labels, each bad line with what was expected
- `settling`    which of several labels for one row holds
- `journal`     labels that were accepted and have yet to be stored, or to meet their exchange; and what was counted
- `compared`    labels beside what was served, until the detector of risk has taken them, and its state: two tables of the journal
- `comparing`   the prediction of a row of a reply, and how far it was from the label
"""
