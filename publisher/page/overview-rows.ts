import { computed } from '@preact/signals';
export const attentionCount = computed(() => 0);
