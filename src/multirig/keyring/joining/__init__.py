"""Joining by a code of six digits, over the network; as ``docs/reference/joining.md`` has it.

======================  ==================================================================
`joining.code`          the code, as it is shown and typed
`joining.handshake`     what both sides make of it; without a socket
`joining.frames`        its bytes on a connection
`joining.offer`         the side of the lab's key: listens while a code holds
`joining.asking`        the side of the new PC
======================  ==================================================================
"""
