"""What is recorded on this PC is copied to the lab's server, compared there, and cleared here.

`collector` finds the sessions of this PC (`parts` says which files each has), `states` decides what is to be
done with each file, `copying` does it at a destination (`places`), `ledger` remembers it, and `receipts` say
on both disks what was proved. `clearing` removes what is collected.
"""
