/* Prints what this compiler makes of struct Conn_stat, one `NAME NUMBER` a line.
 *
 * Partner: the test that compares it with Rust's ConnStat.
 */
#include <stdio.h>

#include "conn_stat.h"

int main(void)
{
    printf("size %zu\n", sizeof(struct Conn_stat));
    printf("align %zu\n", _Alignof(struct Conn_stat));
    printf("offset_of_count %zu\n", offsetof(struct Conn_stat, count));
    printf("offset_of_ip %zu\n", offsetof(struct Conn_stat, ip));
    printf("size_of_count %zu\n", sizeof((struct Conn_stat){0}.count));
    printf("size_of_ip %zu\n", sizeof((struct Conn_stat){0}.ip));
    return 0;
}
