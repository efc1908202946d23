"""Small word lists of the fault suite: what is mixed up in typing, and what is said in the other language.

They cover what people say to tools of offices, banks, clinics and plants; a request without any of these
words gets no such fault. Words for numbers, days, directions and states (on, off, above, below) are left
out, since one of them may decide what is meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping


def _table(text: str) -> Mapping[str, tuple[str, ...]]:
    """`word=other|other`, with semicolons or line ends between entries."""
    entries = (entry.strip().split("=") for entry in re.split(r"[;\n]", text) if entry.strip())
    return {word: tuple(others.split("|")) for word, others in entries}


CONFUSED = _table("""
在=再; 再=在; 的=地|得; 做=作; 哪=那; 吗=嘛; 帮我=邦我|帮窝; 请=清; 查=察; 订=定; 需要=须要; 已经=以经
一下=一夏|以下; 怎么样=怎吗样; 怎么=怎吗; 什么=神么|什摸; 多少=多小; 现在=现再; 想=响; 知道=知到
麻烦=麻凡; 最近=最进; 看看=坎坎; 提醒=题醒|提星; 预约=预月; 预订=预定; 安排=按排; 天气=天汽; 气温=汽温
温度=温渡; 下雨=下语; 会议室=会议是|会意室; 邮件=油件; 主题=主提; 标题=标提; 日历=日立; 日程=日成
餐厅=参厅; 吃饭=吃反; 快递=快第; 包裹=包果; 单号=单浩; 空调=空条; 清单=青单; 采购=采够; 笔记=比记|笔计
文件夹=文件加; 请假=清假; 申请=申清; 股价=股架; 股票=股漂; 行情=行晴; 基金=机金; 风险=风显; 推荐=推见
投资=投姿; 汇率=会率; 贷款=代款; 利率=力率; 月供=月共; 账=帐; 交易=交意; 余额=余饿; 冻结=动结
通知=通之; 症状=症壮; 患者=换者; 医生=医声; 医院=医苑; 心率=心律; 年龄=年令; 血压=血鸭; 体温=体文
脉搏=脉博; 身高=身搞; 体重=体种; 疫苗=疫描; 接种=接中; 过敏=过民; 登记=登计; 记录=纪录; 预产期=预产其
怀孕=怀运; 警报=警抱; 报警=抱警; 告警=告井; 触发=触法; 设备=设被; 检修=捡修; 保养=保样; 维护=维户
阀门=伐门; 能耗=能号; 阈值=阀值; 确认=却认; 平均=平钧; 统计=统记; 报表=报标
""")
"""Chinese characters and words → what is written for them by mistake: they sound or look alike."""

TO_ENGLISH = _table("""
帮我=help me; 麻烦=please; 请问=excuse me; 谢谢=thanks; 查一下=check 一下; 看一下=check 一下
查询=check; 想知道=want to know; 天气预报=weather forecast; 天气=weather; 气温=temperature
温度=temperature; 下雨=rain; 出差=on business; 会议室=meeting room; 开会=have a meeting; 客户=client
团队=team; 评审会=review; 提醒我=remind me; 的提醒=的 reminder; 这个提醒=这个 reminder
用药提醒=medication reminder; 价格提醒=price alert; 股价预警=price alert; 电子邮件=email; 邮件=email
主题=subject; 标题=title; 日历=calendar; 日程=schedule; 餐厅=restaurant; 餐位=table; 餐桌=table
预订=book; 预约=book; 包裹=package; 快递=package; 物流=tracking; 单号=tracking number; 空调=AC
购物清单=shopping list; 采购=purchase; 下单=place an order; 订单=order; 送到=deliver 到; 笔记=note
备忘录=memo; 文件夹=folder; 申请=request; 股价=stock price; 股票=stock; 报价=quote; 行情=quote
基金=fund; 推荐=recommend; 筛选=screen; 风险=risk; 投资=invest; 汇率=exchange rate; 贷款=loan
房贷=mortgage; 月供=monthly payment; 年利率=annual rate; 利率=rate; 账单=statement; 交易=transaction
余额=balance; 冻结=freeze; 通知我=notify me; 限价=limit; 症状=symptoms; 患者=patient; 病人=patient
医生=doctor; 心率=heart rate; 心跳=heartbeat; 年龄=age; 医院=hospital; 急诊=emergency room
挂号=make an appointment; 预约挂号=make an appointment; 笔记本=notebook
血压=blood pressure; 脉搏=pulse; 体温=temperature; 身高=height; 体重=weight
超重=overweight; 疫苗=vaccine; 接种=vaccination; 过敏=allergy; 病历=medical record; 预产期=due date
怀孕=pregnant; 相互作用=interaction; 警报=alarm; 报警=alarm; 告警=alarm; 触发=trigger; 设备=device
保养=maintenance; 检修=maintenance; 维护=maintenance; 阀门=valve; 能耗=energy consumption; 报表=report
用电量=power usage; 用电=power usage; 报告=report; 阈值=threshold; 报警范围=alarm range; 读数=reading
确认=confirm; 备注=note; 平均=average; 均值=average; 目标温度=target temperature; 列表=list
""")
"""Chinese words → the English ones that bilingual speakers put in their place."""

TO_CHINESE = _table("""
please=拜托|麻烦; do i need=我需不需要; check=检查; show me=给我看; tell me=告诉我; i need=我需要
i want=我想要; can you=你能不能; could you=能不能; i'd like=我想要; let me know=告诉我; find me=帮我找
weather=天气; forecast=天气预报; umbrella=雨伞; coat=外套; meeting room=会议室; conference room=会议室
a room=一间会议室; remind me=提醒我; a reminder=一个提醒; reminder=提醒; an email=一封邮件
by email=用邮件; subject=主题; titled=标题是; calendar=日历; restaurant=餐厅; a table=一张桌子
reserve=预订; reservation=订位; package=包裹; parcel=包裹; shipment=快递; tracking number=单号
air conditioner=空调; the ac=空调; shopping list=购物清单; a note=一条笔记; notes=笔记; folder=文件夹
stock price=股价; share price=股价; shares=股票; stock=股票; quote=报价; funds=基金; fund=基金
risk=风险; exchange rate=汇率; loan=贷款; mortgage=房贷; balance=余额; monthly payment=月供
transactions=交易记录; price alert=价格提醒; freeze=冻结; money=钱; limit=限价; symptoms=症状
patient=病人; doctor=医生; heart rate=心率; pulse=脉搏; hospital=医院; hospitals=医院
emergency room=急诊室; weight=体重; blood pressure=血压; temperature=温度; tall=高
allergic=过敏; allergy=过敏; vaccine=疫苗; appointment=预约; due date=预产期; pregnant=怀孕; weeks=周
interactions=相互作用; alarm=警报; alarms=警报; maintenance=保养; servicing=保养
energy report=能耗报表; power usage=用电量; electricity=电; energy use=能耗; energy consumption=能耗
valve=阀门; limits=上下限; thresholds=阈值; reading=读数; right now=现在; boss=老板
""")
"""English words, in lower case → the Chinese ones that bilingual speakers put in their place."""
