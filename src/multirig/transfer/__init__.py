"""What IBL's pipeline looks for beside the data of a PC, and in a session's folder on the server.

iblrig's ``transfer_data`` copies whatever carries a flag, by the one description that lies beside it, and
keeps account of each PC in the folder ``_devices`` on the server.
"""
