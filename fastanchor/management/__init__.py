"""Commands that start the processes and show the demo."""
