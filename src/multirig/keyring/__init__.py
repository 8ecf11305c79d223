"""This PC's keys: where they lie, and how it comes by them.

======================  ==================================================================
`keyring.place`         the folder, and that nobody else can read it
`keyring.files`         what each file there holds; `read_keys`
`keyring.watch`         whether they have changed, for programs that run
`keyring.ring`          `Keyring`, which changes them
`keyring.paper`         a lab's key on paper
`keyring.stick`         files by which a PC joins without a network
`keyring.joining`       joining by a code, over the network
======================  ==================================================================
"""

from multirig.keyring.files import read_keys as read_keys
from multirig.keyring.ring import Keyring as Keyring
from multirig.keyring.watch import KeyWatch as KeyWatch
