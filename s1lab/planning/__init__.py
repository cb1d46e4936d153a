"""Before and while a large run is paid for: `fetch` brings its data and models, `preflight` looks
for what would fail later, `cost` says what it takes, `tokens` how many, and how far it is."""
