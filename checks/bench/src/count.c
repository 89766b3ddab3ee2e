/* What C does with a shared count: three ways to add 1, each in a loop. */
#include <stdatomic.h>
#include <stdint.h>

void count_atomic(_Atomic int32_t *count, uint32_t times)
{
	while (times--)
		atomic_fetch_add_explicit(count, 1, memory_order_release);
}
