"""Paragraphs that people paste before they ask for something else: no request, no number, no place, no day.

They were written for this suite.
"""

from __future__ import annotations

from collections.abc import Mapping

from fcray.tools import Language

_ENGLISH = """
Bread begins with very little: flour, water, salt and time. The dough is dull at first, and it tears when it
is pulled. While it rests, the flour drinks the water and the threads inside grow longer, until the same
lump can be stretched so thin that light falls through it. Bakers who hurry this part get a loaf that looks
right and tastes of nothing. Bakers who wait are paid back in the crust, which sings softly as it cools on
the rack.

Anyone who has lived by the sea knows that the tide keeps its own hours. It comes in quietly, fills the
pools one after the other, and lifts the boats that lay on their sides in the mud. Children learn early
which rocks stay dry and which are cut off. The old people hardly look up; they can tell from the smell and
from the sound of the gulls how far the water has come, and they are seldom wrong.

A pencil is a simple thing that was hard to invent. The black core is soft, so it has to be held; wood holds
it well, but only if two halves are glued so tightly that nobody sees the seam. The wood must be straight in
its grain, or the knife will run off and the point will break. Good pencils are made of the same few trees
everywhere, and those who draw for a living can name theirs by the smell.

Bees decide where to live by arguing. When a swarm has left its hive, scouts fly out and look at hollow
trees, and those that come back dance for what they have found. The better the place, the longer the dance.
Others go and look for themselves, and slowly the dancers for poor places give up. In the end nearly all of
them dance for the same tree, and then the whole swarm rises at once.

The lighthouse was built by people who never saw the ships they saved. They carried the stones over in calm
weather, a few at a time, and cut each so that it locked into its neighbors; no single wave could take one
without taking all. The keeper trimmed the lamp, wound the clockwork and wrote down the wind. Most of what
is in those books is dull, and that was the point of the whole work.

Libraries smell the way they do because paper slowly turns into something else. The glue, the ink and the
leather all give off a little of themselves, and together they make a scent that some find sweet and some
find dusty. Readers rarely notice that the shelves are arranged by an idea: what stands side by side was
thought to belong together by somebody who had to decide, and who was surely tired that afternoon.
"""

_CHINESE = """
做面包要的东西很少：面粉、水、盐，还有耐心。面团刚揉好的时候又粗又硬，一拉就断。放着不管，面粉慢慢把水吃进去
，里面的筋一点点变长，同样一团面就能拉成薄薄的一片，透得过光。性急的师傅烤出来的面包样子不差，吃着却没有味道
；肯等的师傅，面包出炉以后放在架子上，外皮会轻轻作响，满屋子都是麦香。

住在海边的人都知道，潮水有它自己的脾气。涨潮时它悄悄漫进来，把礁石间的水洼一个个灌满，又把斜躺在泥里的小船慢
慢扶正。孩子们很早就懂得哪些石头总是干的，哪些会被水围住。老人们几乎不抬头，闻一闻风里的味道，听一听海鸥的叫
声，就晓得水到了什么地方，很少有看错的时候。

铅笔看着简单，当初却不容易做成。芯子太软，非得有东西夹住不可；木头最合适，可是要把两片木头粘得看不出缝来，才
不会散开。木纹也要直，不然刀子一歪，笔尖就断了。好铅笔用的总是那几种树，靠画画吃饭的人，闭着眼睛闻一闻，就能
说出手里拿的是哪一种。

蜜蜂搬家之前要先争论一番。离开旧巢以后，几只蜂出去打探，看看哪棵树的树洞合适，回来就用跳舞的办法告诉同伴。地
方越好，舞跳得越久。别的蜂听了还要自己去看，看完回来再跳。渐渐地，替坏地方跳舞的蜂都停了，剩下的都在说同一棵
树，这时整群蜂就一起飞起来，头也不回。

造灯塔的人，多半一辈子也没见过他们救下的船。石头只能趁风平浪静的日子运过去，每一块都凿出榫头，和旁边的咬在一
起，浪再大也别想单独掀走哪一块。看塔的人剪灯芯、上发条、记风向，夜夜如此。那些本子里写的大多平淡无奇，可这正
是大家想要的：什么事都没有发生。

图书馆里的味道，是纸张慢慢变老的味道。胶水、油墨和皮面都散出一点点自己，混在一起，有人觉得香甜，有人觉得像灰
尘。来看书的人很少想到，架子上的次序也是一种主意：哪本挨着哪本，是某个人当年认真想过才定下来的，说不定那天下
午他已经很累了，只想早点回家喝碗热汤。
"""


def _paragraphs(text: str, joint: str) -> tuple[str, ...]:
    return tuple(joint.join(one.split("\n")) for one in text.strip().split("\n\n"))


PASSAGES: Mapping[Language, tuple[str, ...]] = {
    "zh": _paragraphs(_CHINESE, ""),
    "en": _paragraphs(_ENGLISH, " "),
}
