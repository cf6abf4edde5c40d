"""Studies: several training methods, with and without SEM, over several seeds, from one command.

- `plan`: what a study compares, and where its files are (`Plan`, `Maps`).
- `run`: trains, predicts and evaluates, and continues where it stopped (`run_study`).
- `estimate`: a number over seeds and photos.
- `summary`: means, spreads and paired differences of what was run (`summarise`).
- `claims`: what the paper says of the same comparisons, and what the study says of that.
- `report`: the summary as tables and JSON.
- `mini`: the study on the embedded benchmark.
"""
