"""Who is of the lab, and what each may do: keys, certificates, sealed channels.

Pure: no I/O, no clock, no randomness of its own. Where keys lie on a PC is the matter of `multirig.keyring`.

======================  ==================================================================
`trust.roles`           what a PC's key is good for
`trust.certificate`     what a lab's key signs: certificates, and who is shut out
`trust.keys`            all that one PC has: its key, and the labs that it belongs to
`trust.noise`           the handshake (Noise XX)
`trust.packets`         the bytes of a handshake and of what is sealed
`trust.channel`         two programs' sealed conversation
`trust.admission`       what an address is good for without a key
`trust.budget`          how much strangers may cost
======================  ==================================================================
"""
