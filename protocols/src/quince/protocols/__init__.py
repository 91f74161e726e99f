"""The wires: what meters and gateways say, as bytes in and events out. No I/O happens here.

dlms: DLMS/COSEM. modbus: register maps. optical: IEC 62056-21. gateway: the MQTT contract.
"""
