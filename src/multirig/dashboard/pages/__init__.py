"""The pages: they hold no rule; each shows what `view` says, and hands what is pressed to the `Console`."""
