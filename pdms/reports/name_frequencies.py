"""Two-character parts of Chinese names that anyone knows to be frequent, the most frequent first.

Compiled by hand from what is generally reported of names in China; the order is approximate. It serves one purpose: to
play the thief who lines buckets up with public knowledge (`leakage`).
"""

_PARTS = """
秀英 桂英 秀兰 玉兰 建国 建华 张伟 王伟 李伟 王芳 李娜 刘伟 王静 张敏 李静 张静 王丽
张丽 李强 王秀 李秀 张秀 玉英 淑英 桂兰 建军 志强 小红 文杰 秀珍 玉珍 子涵 子轩 梓涵
雨涵 浩然 宇轩 建平 海燕 晓东 红梅 春梅 玉梅 桂芳 国强 志明 建明 婷婷 丹丹 丽丽
"""
FREQUENT_PARTS = tuple(_PARTS.split())
