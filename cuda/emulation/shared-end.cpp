// Stands behind the variables of a text.
extern "C" unsigned char snn_shared_end[64];
alignas(64) unsigned char snn_shared_end[64];
