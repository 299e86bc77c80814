/* A reader with a PIN pad for the tests: a driver for pcscd in front of vpcd's.
 *
 * Forwards every IFDH* call to Debian's libifdvpcd.so, but answers IFDHControl itself:
 *   CM_IOCTL_GET_FEATURE_REQUEST -> FEATURE_VERIFY_PIN_DIRECT + FEATURE_MODIFY_PIN_DIRECT + FEATURE_IFD_PIN_PROPERTIES
 *   those control codes          -> pseudo-APDU  FF C2 01 <feature> <Lc> <PIN structure>  to the virtual card,
 * whose simulator plays the person at the pad and returns the SW of the card's VERIFY.
 *
 *   gcc -shared -fPIC -O2 -Wall -I/usr/include/PCSC ifdshim.c -o libifdshim.so -ldl
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <ifdhandler.h>
#include <reader.h>

static void *lib;
static void *sym(const char *n)
{
    if (!lib) {
        const char *p = getenv("VPCD_LIB");
        lib = dlopen(p ? p : "/usr/lib/pcsc/drivers/serial/libifdvpcd.so", RTLD_NOW | RTLD_LOCAL);
    }
    return lib ? dlsym(lib, n) : NULL;
}

#define FWD(name, params, args) \
    RESPONSECODE name params { RESPONSECODE (*f) params = sym(#name); return f ? f args : IFD_COMMUNICATION_ERROR; }

FWD(IFDHCreateChannelByName, (DWORD Lun, LPSTR n), (Lun, n))
FWD(IFDHCreateChannel, (DWORD Lun, DWORD c), (Lun, c))
FWD(IFDHCloseChannel, (DWORD Lun), (Lun))
FWD(IFDHGetCapabilities, (DWORD Lun, DWORD t, PDWORD l, PUCHAR v), (Lun, t, l, v))
FWD(IFDHSetCapabilities, (DWORD Lun, DWORD t, DWORD l, PUCHAR v), (Lun, t, l, v))
FWD(IFDHSetProtocolParameters, (DWORD Lun, DWORD p, UCHAR f1, UCHAR a, UCHAR b, UCHAR c), (Lun, p, f1, a, b, c))
FWD(IFDHPowerICC, (DWORD Lun, DWORD a, PUCHAR atr, PDWORD l), (Lun, a, atr, l))
FWD(IFDHTransmitToICC, (DWORD Lun, SCARD_IO_HEADER s, PUCHAR tx, DWORD tl, PUCHAR rx, PDWORD rl, PSCARD_IO_HEADER r),
    (Lun, s, tx, tl, rx, rl, r))
FWD(IFDHICCPresence, (DWORD Lun), (Lun))

static const unsigned char FEATURES[] = { FEATURE_VERIFY_PIN_DIRECT, FEATURE_MODIFY_PIN_DIRECT, FEATURE_IFD_PIN_PROPERTIES };
#define CODE(feature) SCARD_CTL_CODE(0x330000 + (feature))

RESPONSECODE IFDHControl(DWORD Lun, DWORD code, PUCHAR tx, DWORD txlen, PUCHAR rx, DWORD rxlen, LPDWORD out)
{
    size_t i;
    if (!out)
        return IFD_COMMUNICATION_ERROR;
    *out = 0;
    if (code == CM_IOCTL_GET_FEATURE_REQUEST) {
        if (rxlen < sizeof FEATURES * 6)
            return IFD_ERROR_INSUFFICIENT_BUFFER;
        for (i = 0; i < sizeof FEATURES; i++) {
            uint32_t v = htonl(CODE(FEATURES[i]));
            rx[6 * i] = FEATURES[i];
            rx[6 * i + 1] = 4;
            memcpy(rx + 6 * i + 2, &v, 4);
        }
        *out = sizeof FEATURES * 6;
        return IFD_SUCCESS;
    }
    if (code == CODE(FEATURE_IFD_PIN_PROPERTIES)) {
        static const unsigned char props[] = { 0, 0, 0x07, 0 };   /* no LCD, all validations, no timeout */
        if (rxlen < sizeof props)
            return IFD_ERROR_INSUFFICIENT_BUFFER;
        memcpy(rx, props, sizeof props);
        *out = sizeof props;
        return IFD_SUCCESS;
    }
    if (code == CODE(FEATURE_VERIFY_PIN_DIRECT) || code == CODE(FEATURE_MODIFY_PIN_DIRECT)) {
        unsigned char apdu[5 + 255];
        SCARD_IO_HEADER h = { 1, sizeof h };
        DWORD n = rxlen;
        RESPONSECODE r;
        if (txlen > 255)
            return IFD_COMMUNICATION_ERROR;
        memcpy(apdu, "\xFF\xC2\x01", 3);
        apdu[3] = code == CODE(FEATURE_VERIFY_PIN_DIRECT) ? FEATURE_VERIFY_PIN_DIRECT : FEATURE_MODIFY_PIN_DIRECT;
        apdu[4] = (unsigned char)txlen;
        memcpy(apdu + 5, tx, txlen);
        r = IFDHTransmitToICC(Lun, h, apdu, txlen + 5, rx, &n, &h);
        *out = r == IFD_SUCCESS ? n : 0;
        return r;
    }
    return IFD_ERROR_NOT_SUPPORTED;
}
